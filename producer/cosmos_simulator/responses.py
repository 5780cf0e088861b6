"""The errors that Cosmos DB answers with, as documents.

Texts and codes: docs/cosmos-simulator.md.
"""

from __future__ import annotations

from typing import Any

THROTTLED = 16500

_THROTTLED_REASON = (
    "Details='Response status code does not indicate success: TooManyRequests (429); "
    "Substatus: 3200; ActivityId: 00000000-0000-0000-0000-000000000000; "
    'Reason: ({"Errors":["Request rate is large. More Request Units may be needed, '
    'so no changes were made. Please retry this request later."]});'
)
_CODE_NAMES = {
    1: "InternalError",
    2: "BadValue",
    9: "FailedToParse",
    16: "InvalidLength",
    23: "AlreadyInitialized",
    26: "NamespaceNotFound",
    43: "CursorNotFound",
    48: "NamespaceExists",
    50: "ExceededTimeLimit",
    59: "CommandNotFound",
    61: "ShardKeyNotFound",
    67: "CannotCreateIndex",
    115: "CommandNotSupported",
    352: "UnsupportedOpQueryCommand",
    THROTTLED: "RequestRateTooLarge",
    40324: "UnrecognizedPipelineStage",
}


def error(code: int, message: str) -> dict[str, Any]:
    """Return a command error."""
    return {"ok": 0, "code": code, "codeName": _CODE_NAMES[code], "errmsg": message}


def write_error(index: int, code: int, message: str) -> dict[str, Any]:
    """Return one entry of ``writeErrors``."""
    return {"index": index, "code": code, "errmsg": message}


def throttled_text(retry_after_ms: int | None) -> str:
    """Return the text of a 16500; None: without ``RetryAfterMs``, as bulk inserts answer."""
    if retry_after_ms is None:
        return f"Error={THROTTLED}, Details='Insert error.'"
    return f"Error={THROTTLED}, RetryAfterMs={retry_after_ms}, {_THROTTLED_REASON}"


def throttled_error(retry_after_ms: int | None) -> dict[str, Any]:
    """Return the error of a command that is over budget."""
    return error(THROTTLED, throttled_text(retry_after_ms))


def legacy_throttled_error() -> dict[str, Any]:
    """Return that error in the form of older servers, which never says how long to wait."""
    text = 'Message: {"Errors":["Request rate is large"]}'
    return {"_t": "OKMongoResponse", "ok": 0, "code": THROTTLED, "errmsg": text, "$err": text}


def not_supported(command: str) -> dict[str, Any]:
    """Return the error of a command that Cosmos DB does not have."""
    return error(115, f"Command {command} not supported.")


RETRYABLE_WRITES_REFUSED = error(
    2,
    "Retryable writes are not supported. Please disable retryable writes by specifying "
    '"retrywrites=false" in the connection string or an equivalent driver specific config.',
)
EXCEEDED_TIME = error(50, "Request timed out. Retries due to rate limiting: True.")
UNAVAILABLE = error(
    1, "Error=1, Details='Response status code does not indicate success: ServiceUnavailable (503)'"
)
TOO_LARGE_TEXT = (
    "Error=16, Details='Response status code does not indicate success: "
    "RequestEntityTooLarge (413); Substatus: 0; Reason: (Request size is too large)'"
)
NO_SHARD_KEY_IN_DOCUMENT = "document does not contain shard key"
NO_SHARD_KEY_IN_QUERY = "query in command must target a single shard key"


def cursor_not_found(cursor_id: int) -> dict[str, Any]:
    """Return the error for a cursor that no longer exists."""
    return error(43, f"cursor id {cursor_id} not found")
