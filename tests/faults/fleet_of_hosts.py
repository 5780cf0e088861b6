"""A fleet of hosts under random faults: ``python -m tests.faults.fleet_of_hosts --seeds 1-50``.

Nine hosts, which are namespaces of this machine: a replica set on three, Redis with a replica on
two, four workers, and Sentinels beside them; packets take 5 to 50 ms from one to another. A
schedule is a generation and a migration at once, while hosts are killed, frozen and cut off from
each other and clocks jump. Then everything is there again, and both runs have to end without
anybody calling ``resume``, and to be what an independent comparison expects, byte for byte.

It needs root, and libfaketime for the clocks.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pymongo

from dataworks_tasks.ledger.contract import RunState
from tests.faults.schedules import Undone, try_seeds
from tests.fleet import Fleet, wait_until
from tests.support.exact import (
    check_copied,
    check_exact,
    fill_source,
    generate_arguments,
    migrate_arguments,
)
from tests.support.host_fleet import (
    CONSOLE,
    DATABASES,
    HOSTS,
    STORES,
    WORKERS,
    HostFleet,
    clocks_are_adjustable,
)
from tests.support.host_network import HostNetwork, enter

DOCUMENTS = 4000
_RATE, _BATCH = 500, 100
_END_SECONDS = 180
_CLOCK_JUMPS = (-300.0, -30.0, -3.0, 3.0, 30.0, 300.0)


class FleetOfHosts:
    """Draws what happens to the hosts, and looks at what the runs left."""

    def __init__(self, hosts: HostFleet, fleet: Fleet) -> None:
        self.hosts, self.fleet = hosts, fleet
        self.network = hosts.network
        self.random = random.Random(0)
        self.undone = Undone()
        self.faults: dict[str, Callable[[], str]] = {
            "cut two hosts off from each other": self._cut,
            "cut one way": self._cut_one_way,
            "isolate a host": self._isolate,
            "split the fleet": self._split,
            "kill a worker host": lambda: self._kill(WORKERS),
            "kill a MongoDB host": lambda: self._kill(DATABASES),
            "kill the MongoDB primary": lambda: self._kill([hosts.primary() or DATABASES[0]]),
            "kill a Redis host": lambda: self._kill(STORES),
            "freeze a host": self._freeze,
            "slow links": self._slow,
        }
        if clocks_are_adjustable():
            self.faults["a clock jumps"] = self._jump

    @property
    def logs(self) -> Path:
        """The folder of their logs."""
        return self.hosts.logs

    def schedule(self, seed: int) -> str:
        """Try one. Raises AssertionError when a run does not end by itself or is not exact."""
        self.random, self.undone = random.Random(seed), Undone()
        draw, began = self.random, time.monotonic()
        self.fleet.database = f"s{seed}"
        self._draw_latencies()
        done: list[str] = []
        try:
            fill_source(self.fleet, DOCUMENTS)
            runs = self._start()
            for name in draw.choices(sorted(self.faults), k=draw.randint(3, 6)):
                time.sleep(draw.uniform(0.2, 2.0))
                self.undone.due()
                done.append(self.faults[name]())
            self.undone.everything()
            there = time.monotonic()
            for run in runs:
                wait_until(partial(self._ended, run), f"{run} ends by itself", _END_SECONDS)
            ended = time.monotonic()
            self._check(*runs)
        except BaseException as error:
            error.add_note(f"seed {seed}: {', '.join(done)}")
            raise
        finally:
            self.undone.everything()
        assert not self.hosts.ended(), self.hosts.ended()
        self.fleet.mongo.drop_database(self.fleet.database)
        return f"{', '.join(done)}: exact after {there - began:.1f} + {ended - there:.1f} s"

    def _draw_latencies(self) -> None:
        """Draw what each pair of hosts is apart, the same in both directions."""
        self.network.latencies = {}
        for first, second in combinations((CONSOLE, *HOSTS), 2):
            seconds = self.random.uniform(0.005, 0.050)
            self.network.latencies[first, second] = seconds
            self.network.latencies[second, first] = seconds

    def _start(self) -> list[str]:
        """Record both runs, on the replica of Redis as well: what it never had is lost with it."""
        rate = ("--max-rate", _RATE, "--detach")
        makers = (
            generate_arguments(self.fleet, DOCUMENTS, *rate, batch_size=_BATCH),
            migrate_arguments(self.fleet, *rate, batch_size=_BATCH),
        )
        runs = [str(self.fleet.run_json(*arguments)["run"]) for arguments in makers]
        wait_until(self._is_replicated, "the replica of Redis has the runs")
        return runs

    def _is_replicated(self) -> bool:
        return bool(self.hosts.ask(lambda: self.fleet.redis.wait(1, 1000)))

    def _ended(self, run: str) -> bool:
        state = self.hosts.ask(lambda: self.fleet.ledger.state(run))
        if state in (None, RunState.PLANNING, RunState.RUNNING):
            return False
        progress = self.hosts.ask(lambda: self.fleet.ledger.progress(run))
        assert state is RunState.COMPLETE, progress
        return True

    def _check(self, generation: str, migration: str) -> None:
        check_exact(self.fleet, generation, DOCUMENTS)
        check_copied(self.fleet, migration)

    def _seconds(self) -> float:
        return self.random.choice([0.5, 2.0, 4.0, 8.0, 12.0])

    def _cut(self) -> str:
        first, second = self.random.sample((CONSOLE, *HOSTS), 2)
        return self._cut_pairs([(first, second), (second, first)], f"cut {first} {second}")

    def _cut_one_way(self) -> str:
        first, second = self.random.sample(HOSTS, 2)
        return self._cut_pairs([(first, second)], f"cut {first} to {second}")

    def _isolate(self) -> str:
        name = self.random.choice(HOSTS)
        return self._cut_groups([name], f"isolate {name}")

    def _split(self) -> str:
        group = self.random.sample(HOSTS, len(HOSTS) // 2)
        return self._cut_groups(group, f"split off {'+'.join(sorted(group))}")

    def _cut_groups(self, group: list[str], said: str) -> str:
        others = [name for name in (CONSOLE, *HOSTS) if name not in group]
        pairs = [(one, other) for one in group for other in others]
        return self._cut_pairs([*pairs, *((other, one) for one, other in pairs)], said)

    def _cut_pairs(self, pairs: list[tuple[str, str]], said: str) -> str:
        # What is cut already is joined by who cut it.
        cut = set(pairs) - self.network.cuts
        seconds = self._seconds()
        self.network.cuts |= cut
        self.undone.later(seconds, lambda: self.network.cuts.difference_update(cut))
        return f"{said} for {seconds:g} s"

    def _kill(self, names: Any) -> str:
        name = self.random.choice(list(names))
        seconds = self._seconds()
        if name in self.network.off:
            return f"{name} is off"
        self.hosts.power_off(name)
        self.undone.later(seconds, lambda: self.hosts.power_on(name))
        return f"kill {name} for {seconds:g} s"

    def _freeze(self) -> str:
        name, seconds = self.random.choice(HOSTS), self._seconds()
        if name in self.network.off:
            return f"{name} is off"
        self.hosts.freeze(name)
        self.undone.later(seconds, lambda: self.hosts.thaw(name))
        return f"freeze {name} for {seconds:g} s"

    def _slow(self) -> str:
        def times(factor: float) -> None:
            latencies = self.network.latencies
            self.network.latencies = {way: factor * each for way, each in latencies.items()}

        times(4.0)
        self.undone.later(4.0, lambda: times(0.25))
        return "slow links"

    def _jump(self) -> str:
        name, seconds = self.random.choice(WORKERS), self.random.choice(_CLOCK_JUMPS)
        self.hosts.set_clock(name, seconds)
        return f"clock of {name} {seconds:+g} s"


@contextmanager
def fleet_of_hosts() -> Iterator[FleetOfHosts]:
    """Yield the hosts with everything that runs on them, for any number of schedules."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = stack.enter_context(HostNetwork(CONSOLE, HOSTS, folder))
        hosts = HostFleet(network, folder)
        hosts.start()
        mongo = stack.enter_context(pymongo.MongoClient[dict[str, Any]](hosts.mongodb_url))
        client = stack.enter_context(hosts.redis())
        fleet = Fleet(hosts.environment, client, mongo, "shop", folder, _no_worker)
        stack.callback(fleet.close)
        yield FleetOfHosts(hosts, fleet)


def _no_worker(*_: object) -> Any:
    raise AssertionError("workers are started by their hosts")


def main() -> None:
    """Run the command line, in namespaces of its own."""
    enter("tests.faults.fleet_of_hosts")
    try_seeds(__doc__, "1-50", fleet_of_hosts)


if __name__ == "__main__":
    main()
