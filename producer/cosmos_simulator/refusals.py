"""Commands and operators that Cosmos DB does not have (docs/cosmos-facts.md section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument

from producer.cosmos_simulator.responses import RETRYABLE_WRITES_REFUSED, error, not_supported
from producer.cosmos_simulator.wire import Command

UNSUPPORTED_COMMANDS = frozenset(
    {
        *("collMod", "renameCollection", "serverStatus", "dataSize", "splitVector"),
        *("startSession", "refreshSessions", "endSessions", "killSessions"),
        *("commitTransaction", "abortTransaction"),
    }
)
_UNRECOGNIZED_STAGE = 40324
UNSUPPORTED_OPERATORS: Mapping[str, tuple[int, str]] = {
    "$collStats": (_UNRECOGNIZED_STAGE, "Unrecognized pipeline stage name: '$collStats'"),
    "$bucketAuto": (_UNRECOGNIZED_STAGE, "Unrecognized pipeline stage name: '$bucketAuto'"),
    "$jsonSchema": (115, "Operator $jsonSchema not supported."),
}
_OPERATOR_BYTES = {name: name.encode() + b"\0" for name in UNSUPPORTED_OPERATORS}
_COMMANDS_WITH_OPERATORS = frozenset(
    {
        *("find", "count", "distinct", "aggregate", "findAndModify", "findandmodify"),
        *("update", "delete", "create"),
    }
)


def request_error(command: Command, message: bytes) -> Mapping[str, Any] | None:
    """Return the error of a command that is refused for any data; None if it may run."""
    name = command.name
    if "txnNumber" in command.body:
        return RETRYABLE_WRITES_REFUSED
    if name in UNSUPPORTED_COMMANDS:
        return not_supported(name)
    if name == "find" and not {"min", "max"}.isdisjoint(command.body):
        return not_supported("find with min or max")
    if name in _COMMANDS_WITH_OPERATORS:
        for operator, pattern in _OPERATOR_BYTES.items():
            # The bytes are searched first: parsing every command's document would cost more.
            if pattern in message and operator in _names(_query_parts(command)):
                return error(*UNSUPPORTED_OPERATORS[operator])
    return None


def _query_parts(command: Command) -> list[Any]:
    parts: list[Any] = [command.body]
    if command.statements is not None:
        parts.extend(
            RawBSONDocument(statement)["q"] for statement in command.statements.documents()
        )
    return parts


def _names(value: Any) -> Iterator[str]:
    """Yield every field name in nested documents and arrays."""
    if isinstance(value, Mapping):
        for name, nested in value.items():
            yield name
            yield from _names(nested)
    elif isinstance(value, list):
        for nested in value:
            yield from _names(nested)
