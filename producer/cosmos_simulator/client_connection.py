"""One client's connection: each request is answered here, or by mongod behind the simulator."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bson.errors import InvalidBSON
from bson.int64 import Int64

from dataworks_tasks.errors import SettingsError
from producer.cosmos_simulator.account import Account
from producer.cosmos_simulator.collection_commands import run_custom_action, shard_collection
from producer.cosmos_simulator.config import Service
from producer.cosmos_simulator.data_requests import DATA_REQUESTS, DataRequests, Outcome
from producer.cosmos_simulator.handshake import (
    HELLO_NAMES,
    build_info,
    documentdb_hello,
    hello_document,
)
from producer.cosmos_simulator.index_errors import index_error
from producer.cosmos_simulator.partitioned_ids import data_collection, drop_backing
from producer.cosmos_simulator.refusals import request_error
from producer.cosmos_simulator.responses import EXCEEDED_TIME, UNAVAILABLE, error
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import (
    OP_MSG,
    OP_QUERY,
    SEQUENCE_FIELDS,
    Command,
    Header,
    WireError,
    decode_reply,
    encode_command,
    encode_query_reply,
    encode_reply,
    parse_command,
    parse_query,
    read_message,
)

EXHAUST_ALLOWED = 1 << 16
STATISTICS_COMMAND = "cosmosSimulatorStatistics"
"""Not a Cosmos DB command: what this simulator counted, for tests and ``dataworks local``."""


DIALS_COMMAND = "cosmosSimulatorDials"
"""``{cosmosSimulatorDials: {throttle_share: 0.1}}``: other dials from now on."""


class _ConnectionDropped(Exception):
    """A dial closes this connection."""


@dataclass(frozen=True, slots=True)
class _LastRequest:
    name: str = ""
    charge: float = 0.0
    duration_ms: int = 0


class ClientConnection:
    """Serves one client until it leaves, is idle too long, sends nonsense or a dial drops it."""

    def __init__(
        self,
        account: Account,
        upstream: Upstream,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._account = account
        self._upstream = upstream
        self._reader, self._writer = streams
        self._data = DataRequests(account, upstream)
        self._last_request = _LastRequest()

    async def serve(self) -> None:
        """Answer requests one after the other."""
        try:
            while True:
                async with asyncio.timeout(self._account.config.idle_seconds):
                    message = await read_message(self._reader)
                reply = await self._answer(message)
                if reply:
                    self._writer.write(reply)
                    await self._writer.drain()
        except (_ConnectionDropped, ValueError, struct.error, InvalidBSON):
            self._writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client, mongod or the idle limit (TimeoutError) ended it
        finally:
            self._upstream.close()
            self._writer.close()

    @property
    def _is_documentdb(self) -> bool:
        return self._account.config.service is Service.AZURE_DOCUMENTDB

    async def _answer(self, message: bytes) -> bytes:
        header = Header.of(message)
        if header.op_code == OP_QUERY:
            return self._answer_query(message, header.request_id)
        if header.op_code != OP_MSG:
            raise WireError(f"opcode {header.op_code} was not offered")
        command = parse_command(message)
        if self._is_documentdb and "txnNumber" in command.body:
            # The service has retryable writes; the mongod may be a standalone server.
            body = {name: value for name, value in command.body.items() if name != "txnNumber"}
            command = replace(command, body=body)
            message = encode_command(command)
        if command.flags & EXHAUST_ALLOWED:
            command = replace(command, flags=command.flags & ~EXHAUST_ALLOWED)
            message = encode_command(command)
        try:
            return await self._answer_command(command, message)
        except KeyError as missing:
            return self._encode(command, error(9, f"The command lacks the field {missing}"))

    async def _answer_command(self, command: Command, message: bytes) -> bytes:
        document = self._answer_here(command)
        if document is None and not self._is_documentdb:
            document = request_error(command, message)
        if document is None and command.name in DATA_REQUESTS:
            return await self._run_data_request(command, message)
        if document is None:
            document = await self._answer_with_mongod(command)
        if document is not None:
            return self._encode(command, document)
        return await self._pass_on(command, message)

    def _encode(self, command: Command, document: Mapping[str, Any]) -> bytes:
        return encode_reply(document, command.request_id) if command.wants_reply else b""

    def _answer_query(self, message: bytes, request_id: int) -> bytes:
        """Legacy OP_QUERY: drivers send hello with it; servers accept nothing else in it now."""
        _, query = parse_query(message)
        if next(iter(query), "") in HELLO_NAMES:
            document = self._hello(query)
        else:
            document = error(352, "Unsupported OP_QUERY command: use OP_MSG")
        return encode_query_reply(document, request_id)

    def _hello(self, body: Mapping[str, Any]) -> dict[str, Any]:
        account = self._account
        if self._is_documentdb:
            return documentdb_hello(account.config)
        return hello_document(account.config, account.address, body)

    def _answer_here(self, command: Command) -> Mapping[str, Any] | None:
        """Return an answer that needs no mongod; None for every other command."""
        account, name = self._account, command.name
        if name in HELLO_NAMES:
            return self._hello(command.body)
        if name == "find" and command.namespace == "config.collections":
            return self._sharded_collection(command)
        if name in {"buildInfo", "buildinfo"}:
            return build_info(account.config)
        if name == "getLastRequestStatistics":
            last = self._last_request
            return {
                "_t": "GetRequestStatisticsResponse",
                "ok": 1,
                "CommandName": last.name,
                "RequestCharge": last.charge,
                "RequestDurationInMilliSeconds": Int64(last.duration_ms),
            }
        return {"ok": 1} if name == "ping" else self._own_command(command)

    def _own_command(self, command: Command) -> Mapping[str, Any] | None:
        """Run a command of the simulator's own: statistics, or new dials."""
        account = self._account
        if command.name == STATISTICS_COMMAND:
            return {**asdict(account.budget.statistics()), "ok": 1}
        if command.name == DIALS_COMMAND:
            changes = dict(command.body[DIALS_COMMAND].items())
            try:
                account.faults.dials = replace(account.faults.dials, **changes)
            except (TypeError, SettingsError) as refused:
                return error(2, str(refused))
            return {"ok": 1}
        return None

    def _sharded_collection(self, command: Command) -> Mapping[str, Any]:
        """Return a collection's entry among those that are sharded."""
        wanted = str(command.body.get("filter", {}).get("_id", ""))
        key = self._account.catalog.shard_key(wanted)
        found = [{"_id": wanted, "key": {key: "hashed"}}] if key else []
        cursor = {"firstBatch": found, "id": Int64(0), "ns": command.namespace}
        return {"cursor": cursor, "ok": 1}

    async def _answer_with_mongod(self, command: Command) -> Mapping[str, Any] | None:
        """Return an answer that needs other commands on mongod first; None: pass the command on."""
        match command.name:
            case "customAction":
                return await self._custom_action(command)
            case "shardCollection":
                return await shard_collection(command, self._account.catalog, self._upstream)
            case "enableSharding":
                return {"ok": 1}
            case "createIndexes" if not self._is_documentdb:
                return await self._index_refusal(command)
            case "drop" | "dropDatabase" | "killCursors":
                await self._forget(command)
        return None

    async def _custom_action(self, command: Command) -> Mapping[str, Any]:
        account = self._account
        if self._is_documentdb:
            return error(59, "no such command: 'customAction'")
        if command.body["customAction"] != "GetChangeStreamTokens":
            return await run_custom_action(command, account.catalog, self._upstream)
        if not account.config.change_streams:
            return error(115, "Change streams are not enabled on this account")
        return await account.streams.tokens(command, self._upstream)

    async def _forget(self, command: Command) -> None:
        """Forget what is dropped or closed."""
        catalog, streams = self._account.catalog, self._account.streams
        if command.name == "killCursors":
            for cursor_id in command.body["cursors"]:
                streams.close(int(cursor_id))
        elif command.name == "drop":
            if catalog.partitioning_key(command.namespace):
                await drop_backing(self._upstream, command.namespace)
            catalog.forget_collection(command.namespace)
            streams.forget_collection(command.namespace)
        else:
            for namespace in catalog.partitioned_collections(command.database):
                await drop_backing(self._upstream, namespace)
            catalog.forget_database(command.database)
            streams.forget_database(command.database)

    async def _index_refusal(self, command: Command) -> Mapping[str, Any] | None:
        body = command.body
        database, collection = data_collection(command, self._account.catalog)
        found = await self._upstream.command(
            database, {"find": collection, "limit": 1, "singleBatch": True}
        )
        is_empty = not (found["ok"] and found["cursor"]["firstBatch"])
        shard_key = self._account.catalog.shard_key(command.namespace)
        for index in body["indexes"]:
            refused = index_error(index, shard_key, collection_is_empty=is_empty)
            if refused:
                return refused
        return None

    async def _pass_on(self, command: Command, message: bytes) -> bytes:
        if not command.wants_reply:
            await self._upstream.send(message)
            return b""
        reply = await self._upstream.call(message)
        if command.name == "listIndexes" and not self._is_documentdb:
            return _with_old_index_fields(reply, command)
        if command.name == "listCollections" and not self._is_documentdb:
            return _without_uuids(reply, command)
        return reply

    async def _run_data_request(self, command: Command, message: bytes) -> bytes:
        """Run a request that costs request units, with the faults of the dials."""
        faults, dials = self._account.faults, self._account.faults.dials
        self._account.budget.count_request()
        started = time.monotonic()
        if faults.happens(dials.drop_before_share):
            raise _ConnectionDropped
        if faults.happens(dials.unavailable_share):
            outcome = Outcome(encode_reply(UNAVAILABLE, command.request_id))
        else:
            outcome = await self._data.run(command, message)
        if dials.latency_ms:
            await asyncio.sleep(dials.latency_ms / 1000)
        if dials.statement_us and command.statements is not None:
            seconds = len(command.statements) * dials.statement_us / 1_000_000
            await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
        duration_ms = round((time.monotonic() - started) * 1000)
        self._last_request = _LastRequest(command.name, outcome.charge, duration_ms)
        if not outcome.executed:
            return outcome.reply
        if faults.happens(dials.drop_after_share):
            raise _ConnectionDropped
        timed_out = command.name in SEQUENCE_FIELDS and faults.happens(
            dials.timeout_after_write_share
        )
        if timed_out and command.wants_reply:
            return encode_reply(EXCEEDED_TIME, command.request_id)
        return outcome.reply


def _with_old_index_fields(reply: bytes, command: Command) -> bytes:
    """Give every index ``v: 1`` and ``ns``, as listIndexes on Cosmos DB does."""
    document = decode_reply(reply)
    if not document["ok"]:
        return reply
    cursor = dict(document["cursor"].items())
    cursor["firstBatch"] = [
        {**dict(index.items()), "v": 1, "ns": command.namespace} for index in cursor["firstBatch"]
    ]
    return encode_reply({**document, "cursor": cursor}, command.request_id)


def _without_uuids(reply: bytes, command: Command) -> bytes:
    """Remove the UUIDs from listCollections, because Cosmos DB has none."""
    document = decode_reply(reply)
    if not document["ok"]:
        return reply
    cursor = dict(document["cursor"].items())
    cursor["firstBatch"] = [
        {**fields, "info": {"readOnly": False}} if "info" in fields else fields
        for fields in (dict(found.items()) for found in cursor["firstBatch"])
    ]
    return encode_reply({**document, "cursor": cursor}, command.request_id)
