"""Reads and writes of documents: the requests that cost request units and meet faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from producer.cosmos_simulator.account import Account
from producer.cosmos_simulator.change_record import FIND_AND_MODIFY, ChangeRecorder
from producer.cosmos_simulator.change_streams import is_change_stream
from producer.cosmos_simulator.config import Service
from producer.cosmos_simulator.document_refusals import (
    Errors,
    document_errors,
    statement_errors,
    targets_one_shard,
)
from producer.cosmos_simulator.faults import RETRY_AFTER_MS_WITHOUT_BUDGET
from producer.cosmos_simulator.handshake import MAX_WRITE_BATCH_SIZE
from producer.cosmos_simulator.partitioned_ids import data_collection, from_backing, to_backing
from producer.cosmos_simulator.request_units import INSERT_1KB_RU, READ_1KB_RU, read_charge
from producer.cosmos_simulator.responses import (
    NO_SHARD_KEY_IN_QUERY,
    cursor_not_found,
    error,
    legacy_throttled_error,
    throttled_error,
)
from producer.cosmos_simulator.sample import without_sampling
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import (
    SEQUENCE_FIELDS,
    Command,
    decode_reply,
    encode_command,
    encode_reply,
    parse_command,
)
from producer.cosmos_simulator.write_admission import Admission, admit, merge_reply, nothing_done

READS = frozenset({"find", "aggregate", "getMore", "count", "distinct"})
DATA_REQUESTS = frozenset(SEQUENCE_FIELDS) | FIND_AND_MODIFY | READS


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a data request (empty: the client wants none) and its cost."""

    reply: bytes
    charge: float = 0.0
    executed: bool = False
    """Whether mongod executed it, entirely or in part."""


class DataRequests:
    """Runs the data requests of one client connection."""

    def __init__(self, account: Account, upstream: Upstream) -> None:
        self._account = account
        self._upstream = upstream

    async def run(self, command: Command, message: bytes) -> Outcome:
        """Execute ``command``, whose bytes are ``message``, within the account's budget."""
        if is_change_stream(command):
            return await self._open_stream(command)
        if self._is_of_a_stream(command):
            return await self._next_events(command)
        return await self._run(command, message)

    async def _run(self, command: Command, message: bytes) -> Outcome:
        if self._account.config.service is Service.AZURE_DOCUMENTDB:
            reply = await self._call(command, message)
            return Outcome(reply, executed=True)
        if command.name in SEQUENCE_FIELDS and command.statements is not None:
            return await self._write(command, command.statements, message)
        if command.name == "getMore" and (cut := await self._cut_cursor(command)):
            return cut
        if refused := self._refusal(command):
            return self._answer(command, refused)
        if self._is_throttled():
            return self._throttled(command)
        return await self._read(command, message)

    # Reads, and findAndModify: charged when their size is known.

    async def _read(self, command: Command, message: bytes) -> Outcome:
        page = self._held_page(command)
        if page is None:
            if command.name == "aggregate" and (sampled := without_sampling(command)):
                message = encode_command(sampled)
            reply = await self._call(command, message)
            page = self._account.pages.cut(reply, command.request_id)
        charge = read_charge(len(page))
        if command.name in FIND_AND_MODIFY:
            charge += 2 * INSERT_1KB_RU
        self._account.budget.charge(charge)
        return Outcome(page, charge, executed=True)

    def _addressed(self, command: Command, message: bytes) -> bytes:
        """``message`` to the collection in which mongod keeps the documents."""
        shard_key = self._account.catalog.partitioning_key(command.namespace)
        if shard_key is None:
            return message
        return encode_command(to_backing(parse_command(message), shard_key))

    async def _call(self, command: Command, message: bytes) -> bytes:
        """Return mongod's answer; record what a write changed for the change streams."""
        addressed = self._addressed(command, message)
        recorder = self._recorder(command)
        if recorder is not None:
            await recorder.look(command)
        reply = await self._upstream.call(addressed)
        if recorder is not None:
            sent = parse_command(message)
            self._account.streams.record(await recorder.changes(sent, decode_reply(reply)))
        return reply if addressed is message else from_backing(command, reply)

    def _recorder(self, command: Command) -> ChangeRecorder | None:
        account = self._account
        writes = command.name in SEQUENCE_FIELDS or command.name in FIND_AND_MODIFY
        if not (account.config.change_streams and writes):
            return None
        place = data_collection(command, account.catalog)
        return ChangeRecorder(self._upstream, place, account.catalog.shard_key(command.namespace))

    # Change streams.

    def _is_of_a_stream(self, command: Command) -> bool:
        streams = self._account.streams
        return command.name == "getMore" and streams.is_open(int(command.body["getMore"]))

    async def _open_stream(self, command: Command) -> Outcome:
        account, streams = self._account, self._account.streams
        if not account.config.change_streams:
            return self._answer(command, error(115, "Change streams are not enabled"))
        documentdb = account.config.service is Service.AZURE_DOCUMENTDB
        if not documentdb and self._is_throttled():
            account.budget.count_throttled()
            cursor = {**dict(command.body.get("cursor", {})), "batchSize": 0}
            command = replace(command, body={**command.body, "cursor": cursor})
        opening = streams.open_log if documentdb else streams.open_latest
        return self._events(command, await opening(command, self._upstream))

    async def _next_events(self, command: Command) -> Outcome:
        account, streams = self._account, self._account.streams
        if account.faults.happens(account.faults.dials.cursor_cut_share):
            streams.close(int(command.body["getMore"]))
            return self._answer(command, cursor_not_found(int(command.body["getMore"])))
        if self._is_throttled():
            account.budget.count_throttled()
            return self._answer(command, streams.empty_page(command))
        return self._events(command, await streams.next_events(command, self._upstream))

    def _events(self, command: Command, document: Mapping[str, Any]) -> Outcome:
        reply = encode_reply(document, command.request_id)
        charge = read_charge(len(reply))
        self._account.budget.charge(charge)
        return Outcome(reply, charge, executed=bool(document["ok"]))

    def _held_page(self, command: Command) -> bytes | None:
        """Return the rest of a larger batch that mongod returned before."""
        if command.name != "getMore":
            return None
        return self._account.pages.next_page(int(command.body["getMore"]), command.request_id)

    async def _cut_cursor(self, command: Command) -> Outcome | None:
        """Lose the cursor if the dial says so, here and in mongod."""
        faults = self._account.faults
        if not faults.happens(faults.dials.cursor_cut_share):
            return None
        cursor_id = int(command.body["getMore"])
        self._account.pages.forget(cursor_id)
        kill = {"killCursors": command.body["collection"], "cursors": [command.body["getMore"]]}
        await self._upstream.command(command.database, kill)
        return self._answer(command, cursor_not_found(cursor_id))

    def _refusal(self, command: Command) -> Mapping[str, Any] | None:
        """Refuse findAndModify without the shard key, as updates are refused."""
        if command.name not in FIND_AND_MODIFY:
            return None
        shard_key = self._account.catalog.shard_key(command.namespace)
        if shard_key and not targets_one_shard(command.body.get("query", {}), shard_key):
            return error(61, NO_SHARD_KEY_IN_QUERY)
        return None

    def _is_throttled(self) -> bool:
        faults = self._account.faults
        return faults.happens(faults.dials.throttle_share) or not self._account.budget.affordable(
            READ_1KB_RU
        )

    # Writes: charged before they run.

    async def _write(self, command: Command, statements: EncodedBatch, message: bytes) -> Outcome:
        if not 1 <= len(statements) <= MAX_WRITE_BATCH_SIZE:
            return self._answer(command, _batch_size_refusal(len(statements)))
        account = self._account
        refused = self._refused(command, statements)
        admission = admit(command, refused, account.budget, account.faults)
        if not admission.admitted and admission.throttled == len(statements):
            return self._throttled(command, admission)
        if admission.throttled:
            account.budget.count_throttled(admission.throttled)
        account.budget.charge(admission.charge)
        if not admission.admitted:
            return self._answer(command, merge_reply(command, admission, nothing_done(command)))
        if len(admission.admitted) < len(statements):
            admitted = statements.select(admission.admitted)
            message = encode_command(replace(command, statements=admitted))
        return await self._execute(command, message, admission)

    async def _execute(self, command: Command, message: bytes, admission: Admission) -> Outcome:
        """Send the admitted statements; change the answer only where necessary."""
        if not command.wants_reply:
            await self._upstream.send(self._addressed(command, message))
            return Outcome(b"", admission.charge, executed=True)
        reply = await self._call(command, message)
        charge = admission.charge
        if command.name != "insert" or admission.errors:
            document = decode_reply(reply)
            charge += self._charge_further_matches(document, admission)
            if document["ok"]:
                reply = encode_reply(merge_reply(command, admission, document), command.request_id)
        return Outcome(reply, charge, executed=True)

    def _charge_further_matches(self, reply: Mapping[str, Any], admission: Admission) -> float:
        """Charge a multi update or delete for more than the one document charged before."""
        further = int(reply.get("n", 0)) - len(admission.admitted)
        if further <= 0:
            return 0.0
        charge = further * admission.charge / len(admission.admitted)
        self._account.budget.charge(charge)
        return charge

    def _refused(self, command: Command, statements: EncodedBatch) -> Errors:
        shard_key = self._account.catalog.shard_key(command.namespace)
        largest = self._account.config.max_document_bytes
        if command.name == "insert":
            return document_errors(statements, shard_key, largest)
        return statement_errors(statements, shard_key, largest)

    # Answers.

    def _throttled(self, command: Command, admission: Admission | None = None) -> Outcome:
        """Refuse the complete command with 16500."""
        account = self._account
        account.budget.count_throttled(admission.throttled if admission else 0)
        if account.faults.happens(account.faults.dials.legacy_throttle_share):
            return self._answer(command, legacy_throttled_error())
        if admission is not None:
            return self._answer(command, throttled_error(admission.retry_after_ms))
        delay = RETRY_AFTER_MS_WITHOUT_BUDGET
        if not account.budget.affordable(READ_1KB_RU):
            delay = account.budget.retry_after_ms(READ_1KB_RU)
        return self._answer(command, throttled_error(account.faults.retry_after_ms(delay)))

    def _answer(self, command: Command, document: Mapping[str, Any]) -> Outcome:
        reply = encode_reply(document, command.request_id) if command.wants_reply else b""
        return Outcome(reply)


def _batch_size_refusal(count: int) -> dict[str, Any]:
    return error(
        16,
        f"Write batch sizes must be between 1 and {MAX_WRITE_BATCH_SIZE}. Got {count} operations.",
    )
