"""Replace, insert and delete documents by ``_id``: one command, and its outcome key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    elements,
    embedded,
    key_condition,
)
from dataworks_tasks.errors import (
    SettingsError,
    StoreUnavailable,
    TerminalError,
    TransientError,
)
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient, write_concern_document
from dataworks_tasks.store.driver_errors import classify, passes, retry_after_seconds
from dataworks_tasks.store.insert_command import DocumentSequence
from dataworks_tasks.store.write_fence import (
    TRANSACTION_TOO_OLD,
    WriteFence,
    fenced_command,
    fenced_transaction,
)
from dataworks_tasks.store.write_outcome import DUPLICATE_KEY, THROTTLED

_IMMUTABLE_FIELD = 66
_TIMESTAMP, _EMPTY = 0x11, bytes(8)
_FEWEST_OF_A_TRANSACTION = 16
"""Fewer writes are not worth the commit's round trip."""
_LIMIT_ONE = b"\x10limit\0\x01\0\0\0"
_UPSERT = b"\x08upsert\0\x01"
_STATEMENT = Struct("<i3si")
"""How a statement begins: its length, the name of its query, the query's length."""
_BETWEEN = b"\0\x03u\0"
_AROUND = _STATEMENT.size + len(_BETWEEN) + len(_UPSERT) + 1
"""The bytes of a statement besides its key and its document."""


class KeyWrite(NamedTuple):
    """The write of one key: ``document`` replaces it, None deletes it.

    ``key``: the bytes of the ``_id`` field. ``shard``: the field of the target's shard key, with
    its dotted path as name, if it has one.
    """

    key: bytes
    document: bytes | None
    shard: Element | None = None


class WriteProblem(NamedTuple):
    """Why a key was not written. ``key_value``: of the unique index that refused it, as BSON."""

    code: int
    reason: str
    key_value: Mapping[str, Any] | None = None

    @property
    def is_duplicate(self) -> bool:
        """Whether another document has the same value in a unique index."""
        return self.code == DUPLICATE_KEY

    @property
    def has_another_id(self) -> bool:
        """Whether the target's document has an ``_id`` that a collation takes for the same.

        A replacement cannot change it, unlike a number's type.
        """
        return self.code == _IMMUTABLE_FIELD


@dataclass(frozen=True, slots=True)
class KeyWriteOutcome:
    """Positions refer to the writes that were sent.

    ``again``: what was not, or not certainly, written. ``is_fenced_off``: another process has the
    window by now. ``unanswered``: the command may still arrive and be executed.
    """

    again: tuple[int, ...] = ()
    problems: Mapping[int, WriteProblem] = field(default_factory=dict)
    is_fenced_off: bool = False
    unanswered: bool = False
    delay_seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeyWriteOptions:
    """How keys are written."""

    write_concern: str
    fence: WriteFence | None
    milliseconds: int


def send_key_writes(
    client: BaseDatabaseClient,
    namespace: Namespace,
    writes: Sequence[KeyWrite],
    options: KeyWriteOptions,
) -> KeyWriteOutcome:
    """Send ``writes``, which are all deletes or all documents, as one unordered command.

    Raises SettingsError or TerminalError where trying again cannot help.
    """
    name = "delete" if writes[0].document is None else "update"
    statements = [_statement(write) for write in writes]
    command = _command(namespace, name, statements, options)
    if (
        options.fence is not None
        and client.capabilities.transactions
        and len(writes) >= _FEWEST_OF_A_TRANSACTION
    ):
        run = partial(fenced_transaction, client, namespace.database, command, options.fence)
        outcome = _outcome_of_transaction(run, len(writes))
        if outcome is not None:
            return outcome
    return _send(client, namespace, command, options, len(writes))


def raise_fence(
    client: BaseDatabaseClient, namespace: Namespace, options: KeyWriteOptions
) -> KeyWriteOutcome:
    """Delete nothing: a claim without writes still fences off earlier holders."""
    query = assemble([embedded(b"_id", assemble([embedded(b"$in", assemble([]), array=True)]))])
    statement = assemble([embedded(b"q", query), _LIMIT_ONE])
    return _send(client, namespace, _command(namespace, "delete", [statement], options), options)


def _command(
    namespace: Namespace, name: str, statements: Sequence[bytes], options: KeyWriteOptions
) -> dict[str, Any]:
    return {
        name: namespace.collection,
        "ordered": False,
        "writeConcern": write_concern_document(options.write_concern),
        "maxTimeMS": options.milliseconds,
        f"{name}s": [DocumentSequence(EncodedBatch.of(statements))],
    }


def _send(
    client: BaseDatabaseClient,
    namespace: Namespace,
    command: Mapping[str, Any],
    options: KeyWriteOptions,
    count: int = 1,
) -> KeyWriteOutcome:
    run = partial(fenced_command, client, namespace.database, command, options.fence)
    return _outcome(run, count)


def _outcome_of_transaction(
    run: Callable[[], Mapping[str, Any]], count: int
) -> KeyWriteOutcome | None:
    """Return None if nothing was written and each write has to be sent by itself.

    One refused write undoes the others. A failover before the commit ends the transaction, and a
    server that refuses the transaction may accept its separate writes.
    """
    try:
        outcome = _outcome(run, count)
    except (SettingsError, TerminalError):
        return None
    complete = not outcome.again and not outcome.problems
    return outcome if complete or outcome.unanswered else None


def _outcome(run: Callable[[], Mapping[str, Any]], count: int) -> KeyWriteOutcome:
    try:
        reply = run()
    except OperationFailure as error:
        return _refused(error, count)
    except PyMongoError as error:
        failure = classify(error)
        if not isinstance(failure, TransientError):
            raise failure from None
        everything = tuple(range(count))
        return KeyWriteOutcome(again=everything, unanswered=True, reason=str(failure))
    return _read_reply(reply, count)


def _statement(write: KeyWrite) -> bytes:
    key, document, shard = write
    if document is None:
        return assemble([embedded(b"q", _query(write)), _LIMIT_ONE])
    if shard is None and key_condition(key) is key and not _needs_a_pipeline(document):
        # What is put together below, in one step: nearly all writes are of this kind.
        size = len(key) + 5
        head = _STATEMENT.pack(_AROUND + len(key) + len(document), b"\x03q\0", size)
        return b"".join((head, key, _BETWEEN, document, _UPSERT, b"\0"))
    return assemble([embedded(b"q", _query(write)), _replacement(document), _UPSERT])


def _query(write: KeyWrite) -> bytes:
    fields = [key_condition(write.key)]
    if write.shard is not None:
        fields.append(embedded(write.shard.name, assemble([element_bytes(write.shard, b"$eq")])))
    return assemble(fields)


def _replacement(document: bytes) -> bytes:
    """Return the statement's ``u``: a pipeline where a replacement would change the document."""
    if not _needs_a_pipeline(document):
        return embedded(b"u", document)
    literal = assemble([embedded(b"$literal", document)])
    stage = assemble([embedded(b"$replaceWith", literal)])
    return embedded(b"u", assemble([embedded(b"0", stage)]), array=True)


def _needs_a_pipeline(document: bytes) -> bool:
    """Return whether a replacement would fail to keep the bytes.

    An empty timestamp would become the server's time, and a name with ``$`` would be read as an
    operator.
    """
    if b"\0" + bytes(8) not in document and b"$" not in document:
        return False
    return any(
        element.name.startswith(b"$")
        or (element.type == _TIMESTAMP and element.value == _EMPTY and element.name != b"_id")
        for element in elements(document)
    )


def _refused(error: OperationFailure, count: int) -> KeyWriteOutcome:
    everything = tuple(range(count))
    if error.code == TRANSACTION_TOO_OLD:
        return KeyWriteOutcome(is_fenced_off=True)
    if error.code == THROTTLED:
        return KeyWriteOutcome(
            again=everything, delay_seconds=retry_after_seconds(str(error)), reason=str(error)
        )
    failure = classify(error)
    if isinstance(failure, TransientError):
        # A server that gave up in the middle has executed some writes, and will not execute more.
        return KeyWriteOutcome(again=everything, reason=str(failure))
    raise failure from None


def _read_reply(reply: Mapping[str, Any], count: int) -> KeyWriteOutcome:
    again: list[int] = []
    problems: dict[int, WriteProblem] = {}
    delays: list[float] = []
    reason = ""
    for error in reply.get("writeErrors", ()):
        position, code = int(error["index"]), int(error.get("code", 0))
        reason = str(error.get("errmsg", ""))
        if code == TRANSACTION_TOO_OLD:
            return KeyWriteOutcome(is_fenced_off=True)
        if code == THROTTLED:
            again.append(position)
            delays += [delay for delay in [retry_after_seconds(reason)] if delay is not None]
        elif passes(code, reason) or (code == DUPLICATE_KEY and _is_upsert_race(error)):
            again.append(position)
        else:
            problems[position] = WriteProblem(code, reason, error.get("keyValue"))
    if concern := reply.get("writeConcernError"):
        # The documents exist without the requested write concern: sending them again waits once
        # more.
        reason = str(concern.get("errmsg", ""))
        again = [position for position in range(count) if position not in problems]
    return KeyWriteOutcome(
        again=tuple(again),
        problems=problems,
        delay_seconds=max(delays, default=None),
        reason=reason,
    )


def _is_upsert_race(error: Mapping[str, Any]) -> bool:
    """Return whether another write inserted the same ``_id`` at the same moment."""
    return list(error.get("keyPattern", ())) == ["_id"]


def unavailable(namespace: Namespace, outcome: KeyWriteOutcome) -> StoreUnavailable:
    """Build the error for a target that wrote nothing through all tries."""
    return StoreUnavailable(f"{namespace} accepted no write: {outcome.reason}")
