"""Every interleaving of one key's source, reader, workers, deaths and late writes.

One key is enough: reconciling touches keys one by one. The source takes a few values one after the
other (None: no document); an event makes its key dirty; the reader turns dirty keys into windows;
workers claim a window, read the source, write the target, read the source again and acknowledge.
A schedule is wrong when everything is at rest and the target is not what the source is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Value = int | None
_NOBODY = -1
_NEW = 10**9
"""The number of a window that a step adds, until the state is numbered again."""
_NOT_SUSPECT, _SUSPECT, _DEFERRED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is built (the defaults), and what could be left out.

    ``bounded``: both reads are at or after the newest planned position, else as old as the event.
    ``fence``: the target refuses writes of a window's earlier claims once a later one has written.
    ``second_pass``: a window that may get a late write is reconciled once more after it.
    ``loss_makes_suspect``: after a loss of Redis' last moment also new windows count as suspect.
    """

    claims: bool = True
    reads_again: bool = True
    bounded: bool = True
    fence: bool = True
    second_pass: bool = True
    loss_makes_suspect: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """What may happen. ``late_writes``: a dead process' write may arrive afterwards, or never.

    Schedules with more than ``most_windows`` open windows are not followed: a key that is read
    before and after its change can have any number of them.
    """

    values: tuple[Value, ...] = (0, None, 2)
    workers: int = 2
    deaths: int = 1
    late_writes: bool = False
    silences: int = 0
    redis_loss: bool = False
    most_windows: int = 3


class Window(NamedTuple):
    number: int
    claim: int
    suspect: int
    holder: int
    event: int  # the position of the source that it was planned for


class Worker(NamedTuple):
    phase: str = "idle"
    number: int = 0
    claim: int = 0
    event: int = 0
    value: Value = None


class Late(NamedTuple):
    """A write on its way whose process is dead."""

    number: int
    claim: int
    value: Value


class State(NamedTuple):
    source: int
    target: Value
    dirty: bool
    planned: int  # the newest planned position of the source
    windows: tuple[Window, ...]
    workers: tuple[Worker, ...]
    network: tuple[Late, ...]
    fences: tuple[tuple[int, int], ...]
    deaths: int
    silences: int
    lost: bool


class Finding(NamedTuple):
    """``schedule``: the states that lead to a wrong end; None if every schedule ends well."""

    states: int
    schedule: list[State] | None


def explore(protocol: Protocol, world: World, most_states: int = 5_000_000) -> Finding:
    """Go through every state. Raises RuntimeError when there are more than ``most_states``."""
    start = State(
        source=0,
        target=world.values[0],
        dirty=False,
        planned=0,
        windows=(),
        workers=(Worker(),) * world.workers,
        network=(),
        fences=(),
        deaths=world.deaths,
        silences=world.silences,
        lost=False,
    )
    came: dict[State, State | None] = {start: None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        if _is_wrong(state, world):
            schedule = [state]
            while (before := came[schedule[-1]]) is not None:
                schedule.append(before)
            return Finding(len(came), schedule[::-1])
        for step in _steps(state, protocol, world):
            following = _renumbered(step)
            if following not in came and len(following.windows) <= world.most_windows:
                came[following] = state
                waiting.append(following)
        if len(came) > most_states:
            raise RuntimeError(f"more than {most_states:,} states")
    return Finding(len(came), None)


def _is_wrong(state: State, world: World) -> bool:
    at_rest = (
        state.source + 1 == len(world.values)
        and not (state.dirty or state.windows or state.network)
        and all(worker.phase == "idle" for worker in state.workers)
    )
    return at_rest and state.target != world.values[state.source]


def _steps(state: State, protocol: Protocol, world: World) -> Iterator[State]:
    yield from _source_and_reader(state, protocol, world)
    for position, late in enumerate(state.network):
        rest = state.network[:position] + state.network[position + 1 :]
        yield _written(state._replace(network=rest), protocol, late)
        yield state._replace(network=rest)
    for index in range(len(state.workers)):
        yield from _worker(state, index, protocol, world)


def _source_and_reader(state: State, protocol: Protocol, world: World) -> Iterator[State]:
    if state.source + 1 < len(world.values):
        yield state._replace(source=state.source + 1, dirty=True)
    if state.dirty:
        suspect = state.lost and protocol.loss_makes_suspect
        window = Window(_NEW, 0, int(suspect), _NOBODY, state.source)
        yield state._replace(dirty=False, planned=state.source, windows=(*state.windows, window))
    if world.redis_loss and not state.lost and state.windows:
        # The newest window is gone with the reader's place; who held one is forgotten.
        kept = tuple(
            window._replace(suspect=_SUSPECT, holder=_NOBODY) for window in state.windows[:-1]
        )
        planned = kept[-1].event if kept else 0
        yield state._replace(windows=kept, planned=planned, dirty=True, lost=True)


def _written(state: State, protocol: Protocol, write: Late) -> State:
    fences = dict(state.fences)
    if protocol.fence:
        if fences.get(write.number, 0) > write.claim:
            return state
        fences[write.number] = write.claim
    return state._replace(target=write.value, fences=tuple(sorted(fences.items())))


def _worker(state: State, index: int, protocol: Protocol, world: World) -> Iterator[State]:
    worker = state.workers[index]
    if worker.phase == "idle":
        yield from _claim(state, index, protocol)
        return
    holds = any(w.number == worker.number and w.holder == index for w in state.windows)
    if state.silences and holds:
        yield _released(state, index)._replace(silences=state.silences - 1)
    if state.deaths:
        dead = _released(state, index) if holds else state
        dead = _now(dead, index, Worker())._replace(deaths=state.deaths - 1)
        yield dead
        if world.late_writes and worker.phase == "sent":
            late = Late(worker.number, worker.claim, worker.value)
            yield dead._replace(network=tuple(sorted((*dead.network, late), key=str)))
    if protocol.claims and not holds and worker.phase != "sent":
        yield _now(state, index, Worker())  # it stops: the claim is over
        return
    yield from _work(state, index, protocol, world)


def _claim(state: State, index: int, protocol: Protocol) -> Iterator[State]:
    for window in state.windows:
        if protocol.claims and window.holder != _NOBODY:
            continue
        if window.suspect == _DEFERRED and (state.network or _somebody_is_late(state)):
            continue  # a late write may still arrive
        claimed = window._replace(claim=window.claim + 1, holder=index)
        windows = tuple(claimed if w.number == window.number else w for w in state.windows)
        worker = Worker("read", window.number, claimed.claim, window.event)
        yield _now(state._replace(windows=windows if protocol.claims else state.windows),
                   index, worker)  # fmt: skip


def _somebody_is_late(state: State) -> bool:
    held = {(window.number, window.holder) for window in state.windows}
    return any(
        worker.phase != "idle" and (worker.number, index) not in held
        for index, worker in enumerate(state.workers)
    )


def _work(state: State, index: int, protocol: Protocol, world: World) -> Iterator[State]:
    worker = state.workers[index]
    oldest = max(worker.event, state.planned) if protocol.bounded else worker.event
    if worker.phase == "read":
        for moment in range(oldest, state.source + 1):
            yield _now(state, index, worker._replace(phase="sent", value=world.values[moment]))
    elif worker.phase == "sent":
        write = Late(worker.number, worker.claim, worker.value)
        yield _now(_written(state, protocol, write), index, worker._replace(phase="written"))
    elif not protocol.reads_again:
        yield _acknowledged(state, index, protocol, changed=False)
    else:
        for moment in range(oldest, state.source + 1):
            changed = world.values[moment] != worker.value
            yield _acknowledged(state, index, protocol, changed=changed)


def _acknowledged(state: State, index: int, protocol: Protocol, *, changed: bool) -> State:
    """Acknowledge, and in the same step mark the key that changed for another reconciliation."""
    worker = state.workers[index]
    windows = []
    for window in state.windows:
        if window.number != worker.number:
            windows.append(window)
        elif window.suspect == _SUSPECT and protocol.second_pass:
            windows.append(window._replace(suspect=_DEFERRED, holder=_NOBODY))
    if changed:
        suspect = int(state.lost and protocol.loss_makes_suspect)
        windows.append(Window(_NEW, 0, suspect, _NOBODY, state.planned))
    return _now(state, index, Worker())._replace(windows=tuple(windows))


def _released(state: State, index: int) -> State:
    worker = state.workers[index]
    return state._replace(
        windows=tuple(
            window._replace(holder=_NOBODY, suspect=_SUSPECT)
            if window.number == worker.number
            else window
            for window in state.windows
        )
    )


def _now(state: State, index: int, worker: Worker) -> State:
    workers = (*state.workers[:index], worker, *state.workers[index + 1 :])
    return state._replace(workers=workers)


def _renumbered(state: State) -> State:
    """Renumber windows and claims from the smallest; otherwise the states have no end."""
    busy = [worker for worker in state.workers if worker.phase != "idle"]
    named = [(window.number, window.claim) for window in state.windows]
    named += [(worker.number, worker.claim) for worker in busy]
    named += [(late.number, late.claim) for late in state.network]
    numbers = {number: rank for rank, number in enumerate(sorted({n for n, _ in named}))}
    fences = {number: claim for number, claim in state.fences if number in numbers}
    named += [(number, claim) for number, claim in [*fences.items(), *((n, 0) for n in numbers)]]
    claims: dict[tuple[int, int], int] = {}
    for number in numbers:
        of_number = sorted({claim for other, claim in named if other == number})
        claims |= {(number, claim): rank for rank, claim in enumerate(of_number)}

    def window(item: Window) -> Window:
        return item._replace(number=numbers[item.number], claim=claims[item.number, item.claim])

    return state._replace(
        windows=tuple(map(window, state.windows)),
        workers=tuple(
            worker
            if worker.phase == "idle"
            else worker._replace(
                number=numbers[worker.number], claim=claims[worker.number, worker.claim]
            )
            for worker in state.workers
        ),
        network=tuple(
            sorted(
                (
                    late._replace(
                        number=numbers[late.number], claim=claims[late.number, late.claim]
                    )
                    for late in state.network
                ),
                key=str,
            )
        ),
        fences=tuple(
            sorted((numbers[number], claims[number, claim]) for number, claim in fences.items())
        ),
    )
