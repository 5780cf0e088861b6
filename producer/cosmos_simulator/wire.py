"""The part of the MongoDB wire protocol that a proxy needs.

A command's documents stay bytes: only the small body is decoded, one level deep.
Format: MongoDB's specification of OP_MSG, OP_QUERY and OP_REPLY.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch

OP_REPLY = 1
OP_QUERY = 2004
OP_MSG = 2013

CHECKSUM_PRESENT = 1
MORE_TO_COME = 2

LARGEST_MESSAGE_BYTES = 48_000_000
"""mongod's own limit: a longer length is a broken or hostile client."""

SEQUENCE_FIELDS = {"insert": "documents", "update": "updates", "delete": "deletes"}
"""Write command -> the field that holds its statements, in the body or as a sequence."""

_HEADER = struct.Struct("<iiii")
_INT32 = struct.Struct("<i")
_FLAGS = struct.Struct("<I")
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class WireError(ValueError):
    """A malformed message, or an opcode that the simulator does not support."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 16 bytes of every message."""

    length: int
    request_id: int
    response_to: int
    op_code: int

    @classmethod
    def of(cls, message: bytes) -> Header:
        """Decode the header of ``message``."""
        return cls(*_HEADER.unpack_from(message))


@dataclass(frozen=True, slots=True)
class Command:
    """An OP_MSG request.

    ``body`` holds the command without its statements; nested documents stay raw.
    ``statements`` are the documents of an insert, or the statements of an update or a delete,
    whether they came as a document sequence or inside the body.
    """

    request_id: int
    flags: int
    body: Mapping[str, Any]
    statements: EncodedBatch | None = None

    @property
    def name(self) -> str:
        """The command's name: the first key of its body."""
        return next(iter(self.body))

    @property
    def database(self) -> str:
        """The database the command is for."""
        return str(self.body.get("$db", ""))

    @property
    def namespace(self) -> str:
        """``database.collection`` of a command that names a collection."""
        name = "collection" if self.name == "getMore" else self.name
        return f"{self.database}.{self.body[name]}"

    @property
    def wants_reply(self) -> bool:
        """Whether the client waits for an answer; not so for unacknowledged writes."""
        return not self.flags & MORE_TO_COME


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Read the next complete message.

    Raises IncompleteReadError at the end, and WireError for an invalid length.
    """
    start = await reader.readexactly(4)
    (length,) = _INT32.unpack(start)
    if not _HEADER.size <= length <= LARGEST_MESSAGE_BYTES:
        raise WireError(f"a message of {length} bytes")
    return start + await reader.readexactly(length - 4)


def decode_body(data: bytes) -> dict[str, Any]:
    """Decode one level of a BSON document; nested documents stay ``RawBSONDocument``."""
    return dict(RawBSONDocument(data, _RAW).items())


def parse_command(message: bytes) -> Command:
    """Decode an OP_MSG message. Raises WireError or bson's InvalidBSON."""
    header = Header.of(message)
    (flags,) = _FLAGS.unpack_from(message, 16)
    end = len(message) - (4 if flags & CHECKSUM_PRESENT else 0)
    body: dict[str, Any] | None = None
    sequence: tuple[str, EncodedBatch] | None = None
    position = 20
    while position < end:
        kind = message[position]
        (size,) = _INT32.unpack_from(message, position + 1)
        section_end = position + 1 + size
        if size < 5 or section_end > end:
            raise WireError("a section runs over the end of its message")
        if kind == 0 and body is None:
            body = decode_body(message[position + 1 : section_end])
        elif kind == 1 and sequence is None:
            name_end = message.index(b"\0", position + 5, section_end)
            name = message[position + 5 : name_end].decode()
            sequence = (name, EncodedBatch.parse(message[name_end + 1 : section_end]))
        else:
            raise WireError(f"an unexpected section of kind {kind}")
        position = section_end
    if not body:
        raise WireError("a message without a command")
    return Command(header.request_id, flags, body, _statements(body, sequence))


def _statements(
    body: dict[str, Any], sequence: tuple[str, EncodedBatch] | None
) -> EncodedBatch | None:
    """Return the statements of a write; take them out of ``body`` if they are in it."""
    field = SEQUENCE_FIELDS.get(next(iter(body)))
    if sequence is not None:
        if sequence[0] != field:
            raise WireError(f"a document sequence {sequence[0]!r} for this command")
        return sequence[1]
    if field is None or not isinstance(body.get(field), list):
        return None
    return EncodedBatch.of(document.raw for document in body.pop(field))


def encode_command(command: Command) -> bytes:
    """Encode a command without a checksum, its statements as a document sequence."""
    sections = b"\0" + bson.encode(command.body, codec_options=_RAW)
    if command.statements is not None:
        name = SEQUENCE_FIELDS[command.name].encode() + b"\0"
        data = command.statements.data
        sections += b"\1" + _INT32.pack(4 + len(name) + len(data)) + name + data
    flags = _FLAGS.pack(command.flags & ~CHECKSUM_PRESENT)
    return _message(OP_MSG, flags + sections, command.request_id, 0)


def encode_reply(document: Mapping[str, Any], response_to: int) -> bytes:
    """Encode an OP_MSG answer to request ``response_to``."""
    return _message(OP_MSG, b"\0\0\0\0\0" + bson.encode(document), 0, response_to)


def decode_reply(message: bytes) -> dict[str, Any]:
    """Decode the body of an OP_MSG answer, one level deep."""
    (size,) = _INT32.unpack_from(message, 21)
    return decode_body(message[21 : 21 + size])


def parse_query(message: bytes) -> tuple[str, dict[str, Any]]:
    """Return the collection and the query of a legacy OP_QUERY."""
    name_end = message.index(b"\0", 20)
    start = name_end + 9
    (size,) = _INT32.unpack_from(message, start)
    return message[20:name_end].decode(), decode_body(message[start : start + size])


def encode_query_reply(document: Mapping[str, Any], response_to: int) -> bytes:
    """Encode a legacy OP_REPLY with one document.

    It has flag 8 (AwaitCapable), as every server since 1.6.
    """
    payload = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(document)
    return _message(OP_REPLY, payload, 0, response_to)


def _message(op_code: int, payload: bytes, request_id: int, response_to: int) -> bytes:
    return _HEADER.pack(16 + len(payload), request_id, response_to, op_code) + payload
