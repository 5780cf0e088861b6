"""Messages: what is parsed is what was sent, however the client laid it out."""

from __future__ import annotations

import struct

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from producer.cosmos_simulator.wire import (
    CHECKSUM_PRESENT,
    MORE_TO_COME,
    OP_MSG,
    Command,
    Header,
    WireError,
    decode_reply,
    encode_command,
    encode_query_reply,
    encode_reply,
    parse_command,
)

documents = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(-(2**31), 2**31) | st.text(max_size=9)),
    min_size=1,
    max_size=5,
)


def op_msg(flags: int, *sections: bytes, tail: bytes = b"") -> bytes:
    payload = struct.pack("<I", flags) + b"".join(sections) + tail
    return struct.pack("<iiii", 16 + len(payload), 7, 0, OP_MSG) + payload


def body(document: dict[str, object]) -> bytes:
    return b"\0" + bson.encode(document)


def sequence(name: str, data: bytes) -> bytes:
    return b"\1" + struct.pack("<i", 4 + len(name) + 1 + len(data)) + name.encode() + b"\0" + data


@settings(deadline=None)
@given(documents)
def test_documents_are_the_same_in_the_body_and_as_a_sequence(
    inserted: list[dict[str, object]],
) -> None:
    encoded = [bson.encode(document) for document in inserted]
    inline = parse_command(op_msg(0, body({"insert": "c", "documents": inserted, "$db": "d"})))
    command = body({"insert": "c", "$db": "d"})
    apart = parse_command(op_msg(0, command, sequence("documents", b"".join(encoded))))
    first = parse_command(op_msg(0, sequence("documents", b"".join(encoded)), command))
    for parsed in (inline, apart, first):
        assert parsed.name == "insert"
        assert parsed.namespace == "d.c"
        assert parsed.statements is not None
        assert list(parsed.statements.documents()) == encoded
        assert dict(parsed.body) == {"insert": "c", "$db": "d"}


@settings(deadline=None)
@given(documents)
def test_an_encoded_command_is_parsed_back(inserted: list[dict[str, object]]) -> None:
    batch = EncodedBatch.of(bson.encode(document) for document in inserted)
    command = Command(9, MORE_TO_COME, {"insert": "c", "ordered": False, "$db": "d"}, batch)
    message = encode_command(command)
    assert Header.of(message).length == len(message)
    parsed = parse_command(message)
    assert parsed.request_id == 9
    assert not parsed.wants_reply
    assert parsed.statements is not None
    assert parsed.statements.data == batch.data
    assert dict(parsed.body) == dict(command.body)


def test_the_checksum_is_not_taken_for_a_section() -> None:
    message = op_msg(CHECKSUM_PRESENT, body({"ping": 1, "$db": "admin"}), tail=b"\1\2\3\4")
    command = parse_command(message)
    assert command.name == "ping"
    assert parse_command(encode_command(command)).flags & CHECKSUM_PRESENT == 0


@pytest.mark.parametrize(
    "message",
    [
        op_msg(0),
        op_msg(0, body({})),
        op_msg(0, b"\2" + bson.encode({"ping": 1})),
        op_msg(0, body({"ping": 1}), body({"ping": 1})),
        op_msg(0, body({"find": "c"}), sequence("documents", bson.encode({}))),
        op_msg(0, b"\0" + struct.pack("<i", 1000) + bson.encode({"ping": 1})[4:]),
    ],
    ids=["empty", "no command", "unknown kind", "two bodies", "misplaced sequence", "too long"],
)
def test_a_malformed_message_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        parse_command(message)


def test_replies_name_their_request() -> None:
    reply = encode_reply({"ok": 1, "nested": {"a": [1]}}, 42)
    assert Header.of(reply).response_to == 42
    assert decode_reply(reply)["nested"]["a"] == [1]
    legacy = encode_query_reply({"ok": 1}, 43)
    assert Header.of(legacy).response_to == 43
    assert bson.decode(legacy[36:]) == {"ok": 1}
