import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from bson import decode, encode
from bson.errors import BSONError, InvalidDocument
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import assemble
from dataworks_tasks.migrate.base import BaseMigrationStrategy, Document
from dataworks_tasks.migrate.document_change import by_strategy
from dataworks_tasks.migrate.lazy_document import DOCUMENTS, LazyDocument
from tests.integration.migrate.corpus import documents

KEYS = st.sampled_from(["_id", "a", "b", "inner", "", "ä", "email"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=4,
)

Action = Callable[[dict[str, Any]], Any]


def _set(key: str, value: Any) -> Action:
    return lambda document: document.__setitem__(key, copy.deepcopy(value))


def _rename(old: str, new: str) -> Action:
    def action(document: dict[str, Any]) -> None:
        if old in document:
            document[new] = document.pop(old)

    return action


def _inside(key: str, value: Any) -> Action:
    def action(document: dict[str, Any]) -> None:
        holder = document.get(key)
        if isinstance(holder, dict):
            holder["a"] = copy.deepcopy(value)
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(value))

    return action


def _delete(key: str) -> Action:
    def action(document: dict[str, Any]) -> bool:
        try:
            del document[key]
        except KeyError:
            return False
        return True

    return action


ACTIONS = st.one_of(
    st.builds(_set, KEYS, VALUES),
    st.builds(_inside, KEYS, VALUES),
    st.builds(_rename, KEYS, KEYS),
    st.builds(_delete, KEYS),
    KEYS.map(lambda key: lambda document: document.get(key, "default")),
    KEYS.map(lambda key: lambda document: key in document),
    KEYS.map(lambda key: lambda document: document.pop(key, "default")),
    KEYS.map(lambda key: lambda document: copy.deepcopy(document.setdefault(key, [1]))),
    st.dictionaries(KEYS, VALUES).map(lambda more: lambda document: document.update(more)),
    st.just(list),
    st.just(len),
    st.just(lambda document: list(document.items())),
)


@given(st.dictionaries(KEYS, VALUES), st.lists(ACTIONS, max_size=8))
def test_it_does_what_a_dict_does(content: dict[str, Any], actions: list[Action]) -> None:
    source = encode(content)
    lazy, plain = LazyDocument(source), decode(source)
    for action in actions:
        assert action(lazy) == action(plain)
    written = decode(lazy.raw)  # before anything asks for the whole document
    assert written == plain
    # The driver's encoder puts _id first; a dict does not.
    assert [key for key in written if key != "_id"] == [key for key in plain if key != "_id"]
    assert lazy == plain
    assert list(lazy) == list(plain)


@pytest.mark.parametrize("document", list(documents()))
def test_what_is_not_touched_keeps_its_bytes(document: bytes) -> None:
    lazy = LazyDocument(document)
    assert lazy.raw is document
    lazy["set by a strategy"] = True
    added = encode({"set by a strategy": True})[4:-1]
    assert lazy.raw == assemble([document[4:-1], added])


def test_fields_that_python_cannot_hold_pass() -> None:
    twice = b"\x10twice\0\x01\0\0\0" + b"\x10twice\0\x02\0\0\0"
    not_text = b"\x02text\0\x02\0\0\0\xff\0"
    lazy = LazyDocument(assemble([b"\x10_id\0\x01\0\0\0", twice, not_text]))
    lazy["_id"] = 2
    assert lazy.raw == assemble([b"\x10_id\0\x02\0\0\0", twice, not_text])
    assert lazy["twice"] == 2
    lazy["twice"] = 3
    assert lazy.raw == assemble([b"\x10_id\0\x02\0\0\0", b"\x10twice\0\x03\0\0\0", not_text])
    with pytest.raises(BSONError):
        lazy["text"]
    with pytest.raises(BSONError):
        dict(lazy)


def _lazy() -> LazyDocument:
    lazy = LazyDocument(encode({"_id": 1, "name": "Ada", "tags": ["x"]}))
    lazy["more"] = 2
    return lazy


WHOLE = {"_id": 1, "name": "Ada", "tags": ["x"], "more": 2}


@pytest.mark.parametrize(
    "taken",
    [
        dict,
        copy.copy,
        copy.deepcopy,
        lambda lazy: {**lazy},
        lambda lazy: lazy | {},
        lambda lazy: {} | lazy,
        lambda lazy: dict(**lazy),
        lambda lazy: lazy.copy(),
        lambda lazy: json.loads(json.dumps(lazy)),
        lambda lazy: decode(encode(lazy)),
        lambda lazy: decode(encode({"held": lazy}))["held"],
        lambda lazy: decode(encode({"held": [lazy]}, codec_options=DOCUMENTS))["held"][0],
        lambda lazy: {key: lazy[key] for key in reversed(lazy)},
    ],
)
def test_whoever_takes_it_gets_every_field(taken: Callable[[LazyDocument], Any]) -> None:
    assert taken(_lazy()) == WHOLE
    assert isinstance(_lazy(), dict)
    assert repr(_lazy()) == repr(WHOLE)


def test_entries_taken_past_its_methods_are_no_empty_document() -> None:
    with pytest.raises(InvalidDocument):
        encode(dict(dict.items(_lazy())))


class _Marks(BaseMigrationStrategy):
    name = "test-marks"

    def transform_document(self, document: Document) -> Document:
        document["seen"] = document["kind"] + 1
        return document


def test_a_strategy_touches_what_it_touches() -> None:
    date = b"\x09far\0" + (2**62).to_bytes(8, "little")
    source = assemble([b"\x10_id\0\x01\0\0\0", b"\x10kind\0\x01\0\0\0", date])
    without = assemble([b"\x10_id\0\x02\0\0\0"])
    changed = by_strategy(_Marks())(EncodedBatch.of([source, without]))
    assert changed.batch.data == assemble([source[4:-1], b"\x10seen\0\x02\0\0\0"])
    assert changed.refused == [(without, "the strategy raised KeyError: 'kind'")]
