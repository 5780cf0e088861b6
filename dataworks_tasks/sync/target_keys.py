"""Write keys of one window at the target, under its claim, until each is written or refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.raw_bson import Element, id_element
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.key_writes import (
    KeyWrite,
    KeyWriteOptions,
    KeyWriteOutcome,
    WriteProblem,
    raise_fence,
    send_key_writes,
    unavailable,
)
from dataworks_tasks.store.shard_key import value_at
from dataworks_tasks.store.write_budget import RateLimiter
from dataworks_tasks.store.write_fence import WriteFence
from dataworks_tasks.store.write_outcome import WriteOutcome
from dataworks_tasks.sync.claims import Claim, ClaimLost
from dataworks_tasks.sync.wanted import key_bytes

_BACKOFF = Backoff()
_MOST_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class TargetCollection:
    """Where a collection's documents go, and how."""

    client: BaseDatabaseClient
    namespace: Namespace
    write_concern: str
    rate_limiter: RateLimiter | None = None


@dataclass(slots=True)
class TargetKeys:
    """Writes keys of one claimed window. ``problems``: why keys were refused, by their bytes.

    Once ``stopped``, it finishes the command that it sent, and leaves the other keys in ``left``.
    """

    collection: TargetCollection
    claim: Claim
    fence: WriteFence | None
    stopped: Callable[[], bool] = lambda: False
    problems: dict[bytes, WriteProblem] = field(default_factory=dict)
    left: set[bytes] = field(default_factory=set)
    replaced: int = 0
    deleted: int = 0
    _has_written: bool = False
    _refused: list[KeyWrite] = field(default_factory=list)

    def write(self, documents: Iterable[tuple[bytes, bytes]], absent: Sequence[bytes]) -> None:
        """Delete ``absent`` keys, then write ``documents`` under their keys.

        Raises ClaimLost when nothing more may be written, and StoreUnavailable when the target
        does not answer through all tries.
        """
        self._send([KeyWrite(key, None, shard) for key, shard in self._there(absent)])
        self.deleted += sum(key not in self.left for key in absent)
        path = self.collection.client.shard_key(self.collection.namespace)
        puts = [
            KeyWrite(key, document, _shard_field(document, path)) for key, document in documents
        ]
        if path is not None:
            self._send(list(self._moved(puts)))
        self._refused += self._send(puts)
        self.replaced += sum(put.key not in self.left for put in puts)

    def close(self) -> None:
        """Write what a unique index has refused so far; fence off earlier holders in any case."""
        others = [each for each in self._refused if self.problems[each.key].has_another_id]
        self._send([KeyWrite(write.key, None, write.shard) for write in others])
        refused = self._again(self._refused)
        while refused:
            keys = {write.key for write in refused}
            among = [write for write in refused if self._may_be_among(write, keys)]
            if len(among) == len(refused):
                # They exchange values of a unique index: none can be written while another exists.
                self._send([KeyWrite(write.key, None, write.shard) for write in refused])
                self._again(refused)
                break
            refused = among
        if self._has_written or self.fence is None:
            return
        outcome = raise_fence(self.collection.client, self.collection.namespace, self._options())
        self._note(outcome)

    def _there(self, absent: Sequence[bytes]) -> Iterator[tuple[bytes, Element | None]]:
        """Return the keys to delete; with a shard key, each with its value at the target."""
        target = self.collection
        path = target.client.shard_key(target.namespace)
        if path is None or not absent:
            yield from ((key, None) for key in absent)
            return
        for document in target.client.fetch(target.namespace, map(id_element, absent)):
            yield key_bytes(document), _shard_field(document, path)

    def _moved(self, puts: Sequence[KeyWrite]) -> Iterator[KeyWrite]:
        """Yield deletes of documents that have another shard key value at the target."""
        shards = {put.key: put.shard for put in puts}
        for key, shard in self._there(list(shards)):
            if shard != shards.get(key, shard):
                yield KeyWrite(key, None, shard)

    def _send(self, writes: list[KeyWrite]) -> list[KeyWrite]:
        """Send until each is written or left; returns those to send again in another way."""
        duplicates: list[KeyWrite] = []
        waiting, tries = writes, 0
        while waiting:
            piece, rest = self._split(waiting)
            outcome = self._once(piece)
            if outcome is None:
                self.left.update(write.key for write in waiting)
                break
            for position, problem in outcome.problems.items():
                write = piece[position]
                if write.document is not None and (problem.is_duplicate or problem.has_another_id):
                    duplicates.append(write)
                self.problems[write.key] = problem
            again = [piece[position] for position in outcome.again]
            waiting = [*again, *rest]
            if not again:
                tries = 0
                continue
            tries = 0 if len(again) < len(piece) else tries + 1
            if tries > _BACKOFF.tries and outcome.delay_seconds is None:
                raise unavailable(self.collection.namespace, outcome)
            self._wait(outcome.delay_seconds or _BACKOFF.pause(tries))
        return duplicates

    def _split(self, writes: list[KeyWrite]) -> tuple[list[KeyWrite], list[KeyWrite]]:
        capabilities = self.collection.client.capabilities
        most = min(capabilities.max_documents_per_write, len(writes))
        if self.collection.rate_limiter is not None:
            size = sum(len(write.document or b"") for write in writes) / len(writes)
            paced = self.collection.rate_limiter.max_documents(size)
            most = most if paced is None else max(1, min(most, paced))
        size_bytes = 0
        for count, write in enumerate(writes[:most]):
            size_bytes += len(write.document or b"") + 2 * len(write.key)
            if count and size_bytes > capabilities.max_bytes_per_write:
                return writes[:count], writes[count:]
        return writes[:most], writes[most:]

    def _once(self, piece: list[KeyWrite]) -> KeyWriteOutcome | None:
        """Send ``piece``; None if this process should leave instead."""
        target, limiter = self.collection, self.collection.rate_limiter
        reservation = None
        if self.left or (self._has_written and self.stopped()):
            return None
        if limiter is not None:
            size = sum(len(write.document or b"") for write in piece)
            while (reservation := limiter.reserve(len(piece), size, None)) is None:
                if self.stopped():
                    return None
                self._wait(_BACKOFF.cap_seconds)
        options = self._options()
        failpoint("reconcile-write.before")
        outcome = send_key_writes(target.client, target.namespace, piece, options)
        failpoint("reconcile-write.after")
        if limiter is not None and reservation is not None:
            throttled = tuple(outcome.again) if outcome.delay_seconds else ()
            limiter.record(
                reservation, WriteOutcome(len(piece) - len(throttled), throttled=throttled)
            )
        self._has_written = True
        self._note(outcome)
        return outcome

    def _options(self) -> KeyWriteOptions:
        self.claim.check()
        milliseconds = min(_MOST_MILLISECONDS, max(1, int(self.claim.seconds_left * 1000)))
        return KeyWriteOptions(self.collection.write_concern, self.fence, milliseconds)

    def _note(self, outcome: KeyWriteOutcome) -> None:
        if outcome.unanswered:
            self.claim.unanswered = True
        if outcome.is_fenced_off:
            self.claim.lose()
            raise ClaimLost("another process has begun to write this window")

    def _wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)
        self.claim.check()

    def _again(self, refused: list[KeyWrite]) -> list[KeyWrite]:
        """Send writes again that a unique index refused; returns those that it still refuses."""
        for write in refused:
            self.problems.pop(write.key, None)
        return self._send(refused)

    def _may_be_among(self, write: KeyWrite, keys: set[bytes]) -> bool:
        """Return whether one of ``keys`` has the unique value; an unnamed one may be any."""
        if not self.problems[write.key].key_value:
            return len(keys) > 1
        return self._owner(write) in keys

    def _owner(self, write: KeyWrite) -> bytes | None:
        """Return the key of the target's document with the unique value; None if none has it."""
        problem = self.problems[write.key]
        if not problem.key_value:
            return None
        found = self.collection.client.find_all(self.collection.namespace, problem.key_value)
        return key_bytes(found[0]) if found else None


def _shard_field(document: bytes, path: str | None) -> Element | None:
    if path is None:
        return None
    value = value_at(document, path)
    return value._replace(name=path.encode()) if value is not None else None
