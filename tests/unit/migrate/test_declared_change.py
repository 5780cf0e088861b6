"""Declared changes touch what they name and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64, decode, encode
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from faker.providers.person import Provider as PersonProvider
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import assemble, elements
from dataworks_tasks.errors import SpecRefused, UnknownName, UsageError
from dataworks_tasks.migrate import masking
from dataworks_tasks.migrate.declared_change import by_transform
from dataworks_tasks.migrate.document_layout import FEWEST_ALIKE
from dataworks_tasks.migrate.masking import check_masks, create_mask, mask_digest
from dataworks_tasks.migrate.rules import RuleOutcome
from dataworks_tasks.runs.spec import MigrationJob, Transform


def changed(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    result = by_transform(Transform(**options))(EncodedBatch.of([encode(document)]))
    assert not result.refused, result.refused
    return decode(result.batch.document(0))


def test_rename_keeps_the_place() -> None:
    found = changed({"_id": 1, "a": 2, "z": 3}, rename=[("a", "b")])
    assert list(found.items()) == [("_id", 1), ("b", 2), ("z", 3)]


def test_rename_replaces_what_has_the_name() -> None:
    assert changed({"a": 2, "b": 3}, rename=[("a", "b")]) == {"b": 2}


def test_rename_moves_between_documents_and_makes_them() -> None:
    assert changed({"a": {"b": 1, "c": 2}}, rename=[("a.b", "x.y")]) == {
        "a": {"c": 2},
        "x": {"y": 1},
    }


def test_rename_goes_through_arrays_within_one_document() -> None:
    assert changed({"a": [{"b": 1}, 5, {"c": 2}]}, rename=[("a.b", "a.d")]) == {
        "a": [{"d": 1}, 5, {"c": 2}]
    }


def test_a_field_cannot_move_out_of_an_array() -> None:
    change = by_transform(Transform(rename=(("a.b", "c"),)))
    result = change(EncodedBatch.of([encode({"_id": 1, "a": [{"b": 1}]}), encode({"_id": 2})]))
    assert [decode(document) for document in result.batch.documents()] == [{"_id": 2}]
    ((document, reason),) = result.refused
    assert decode(document)["_id"] == 1
    assert "array" in reason


def test_what_is_renamed_can_be_changed_inside() -> None:
    found = changed({"a": {"x": 1, "y": 2}}, rename=[("a", "b")], drop=["b.y"], set=[("b.z", "3")])
    assert found == {"b": {"x": 1, "z": 3}}


def test_drop() -> None:
    document = {"a": 1, "b": {"c": 1, "d": 2}, "e": [{"f": 1, "g": 2}, {"f": 3}]}
    found = changed(document, drop=["a", "b.c", "e.f", "no.such"])
    assert found == {"b": {"d": 2}, "e": [{"g": 2}, {}]}


def test_set_replaces_appends_and_makes_documents() -> None:
    found = changed(
        {"_id": 1, "a": 1, "s": 5},
        set=[("a", '{"$numberLong": "7"}'), ("n", "null"), ("s.t", '"text"'), ("x.y", "[1, 2]")],
    )
    assert found == {"_id": 1, "a": 7, "n": None, "s": {"t": "text"}, "x": {"y": [1, 2]}}
    assert isinstance(found["a"], Int64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ["_id"]}, "_id"),
        ({"set": [("_id.a", "1")]}, "_id"),
        ({"drop": ["a..b"]}, "not a field"),
        ({"set": [("a", "text")]}, "Extended JSON"),
        ({"rename": [("a", "a.b")]}, "one is inside the other"),
        ({"mask": [("a", "hash")]}, "faker:METHOD"),
        ({"mask": [("a", "faker:enum")]}, "needs arguments"),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        by_transform(Transform(**options))


def test_an_unknown_method_is_suggested() -> None:
    with pytest.raises(UnknownName, match="email"):
        by_transform(Transform(mask=(("a", "faker:emal"),)))


def mask(value: Any, method: str = "pyint", seed: int = 1, field: str = "f") -> Any:
    return changed({field: value}, mask=[(field, f"faker:{method}")], mask_seed=seed)[field]


def test_masks_join_across_fields_and_number_types() -> None:
    assert mask("a@example.com") == mask("a@example.com", field="other")
    assert mask(5) == mask(Int64(5)) == mask(5.0)
    assert mask("a@example.com") != mask("b@example.com")
    assert mask("a@example.com") != mask("a@example.com", seed=2)


def test_masks_of_identifiers_do_not_collide() -> None:
    for method in ("email", "user_name", "uuid4"):
        change = by_transform(Transform(mask=(("f", f"faker:{method}"),), mask_seed=1))
        people = EncodedBatch.of([encode({"f": f"person {number}"}) for number in range(300)])
        made = {decode(document)["f"] for document in change(people).batch.documents()}
        assert len(made) == 300


def test_masks_go_into_arrays_and_leave_null() -> None:
    assert mask(None) is None
    first, second, third = mask(["a", "b", "a"], "email")
    assert first == third != second
    assert "@" in first


def outcomes(documents: list[dict[str, Any]], **options: Any) -> list[RuleOutcome]:
    """Return what each rule did, alone and in a batch of equal documents: the same."""
    change = by_transform(Transform(**options))
    raw = [encode(document) for document in documents]
    alone = list(change(EncodedBatch.of(raw)).rules)
    times = 2 * FEWEST_ALIKE
    for outcome in alone:
        doubled = RuleOutcome()
        doubled.add(outcome, times)
        outcome.add(doubled)
    many = change(EncodedBatch.of([one for one in raw for _ in range(times + 1)])).rules
    assert list(many) == alone
    return [
        RuleOutcome(**{name: getattr(o, name) // (times + 1) for name in RuleOutcome.__slots__})
        for o in alone
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"f": "a"}, RuleOutcome(changed=1)),
        ({"g": "a"}, RuleOutcome()),
        ({"F": "a"}, RuleOutcome()),
        ({"f": None}, RuleOutcome(empty=1)),
        ({"f": []}, RuleOutcome(empty=1)),
        ({"f": ["a", None, 5]}, RuleOutcome(changed=2, empty=1, retyped=1)),
        ({"f": [["a"], ["b"]]}, RuleOutcome(changed=2)),
        ({"f": 5}, RuleOutcome(changed=1, retyped=1)),
        ({"f": {"x": 1}}, RuleOutcome(changed=1, retyped=1)),
    ],
)
def test_masked_values_are_counted(document: dict[str, Any], expected: RuleOutcome) -> None:
    assert outcomes([document], mask=[("f", "faker:email")]) == [expected]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": {"b": "x"}}, RuleOutcome(changed=1)),
        ({"a": [{"b": "x"}, {"c": 1}, {"b": "y"}]}, RuleOutcome(changed=2)),
        ({"a": [[{"b": "x"}]]}, RuleOutcome(changed=1)),
        ({"a.b": "x"}, RuleOutcome(changed=1)),
        ({"a.b": "x", "a": {"b": "y"}}, RuleOutcome(changed=2)),
        ({"a": "x"}, RuleOutcome(unreached=1)),
        ({"a": ["x", {"b": "y"}, None]}, RuleOutcome(changed=1, unreached=1)),
        ({"a": None}, RuleOutcome()),
        ({"a": {}}, RuleOutcome()),
        ({}, RuleOutcome()),
    ],
)
@pytest.mark.parametrize("option", ["mask", "drop"])
def test_what_a_path_does_not_reach_is_counted(
    document: dict[str, Any], expected: RuleOutcome, option: str
) -> None:
    rule: Any = ("a.b", "faker:email") if option == "mask" else "a.b"
    assert outcomes([document], **{option: [rule]}) == [expected]
    made = str(changed(document, **{option: [rule]}))
    left = [value for value in ("'x'", "'y'") if value in made]
    assert len(left) == expected.unreached


@pytest.mark.situation(
    4,
    "`--rename a=b` where `b` is there already",
    before="`b` replaced without a word",
    now="counted as displaced, exit 4",
)
@pytest.mark.parametrize(
    ("document", "new", "expected", "made"),
    [
        ({"a": 1}, "b", RuleOutcome(changed=1), {"b": 1}),
        ({"a": 1, "b": 2}, "b", RuleOutcome(changed=1, displaced=1), {"b": 1}),
        ({"b": 2}, "b", RuleOutcome(), {"b": 2}),
        ({"a": 1, "c": {"b": 2}}, "c.b", RuleOutcome(changed=1, displaced=1), {"c": {"b": 1}}),
        ({"a": 1, "c": {}}, "c.b", RuleOutcome(changed=1), {"c": {"b": 1}}),
        ({"a": 1, "c": "x"}, "c.b", RuleOutcome(changed=1, displaced=1), {"c": {"b": 1}}),
        ({"a": 1, "c": None}, "c.b", RuleOutcome(changed=1), {"c": {"b": 1}}),
    ],
)
def test_what_a_renamed_field_displaces_is_counted(
    document: dict[str, Any], new: str, expected: RuleOutcome, made: dict[str, Any]
) -> None:
    assert outcomes([document], rename=[("a", new)]) == [expected]
    assert changed(document, rename=[("a", new)]) == made


def test_what_a_document_on_the_way_of_a_set_field_displaces_is_counted() -> None:
    documents: list[dict[str, Any]] = [{"a": "x"}, {"a": None}, {}, {"a": {"b": "x"}}, {"a": {}}]
    found = outcomes(documents, set=[("a.b.c", "1")])
    assert found == [RuleOutcome(added=5, displaced=2)]


def test_a_path_through_names_with_dots_is_masked_in_every_form() -> None:
    forms: list[dict[str, Any]] = [
        {"a": {"b": {"c": "x"}}},
        {"a.b": {"c": "x"}},
        {"a": {"b.c": "x"}},
        {"a.b.c": "x"},
        {"a": [{"b.c": "x"}]},
    ]
    for form in forms:
        assert outcomes([form], mask=[("a.b.c", "faker:email")]) == [RuleOutcome(changed=1)]
        assert "'x'" not in str(changed(form, mask=[("a.b.c", "faker:email")]))


def test_renamed_and_set_fields_are_counted() -> None:
    documents: list[dict[str, Any]] = [{"a": 1, "b": {"c": 1}}, {"a": 2}, {"b": {"c": 1, "d": 2}}]
    found = outcomes(documents, rename=[("a", "x"), ("b.c", "c")], set=[("b.d", "1")])
    assert found == [
        RuleOutcome(changed=2),
        RuleOutcome(changed=2),
        RuleOutcome(changed=1, added=2),
    ]


def test_documents_that_are_refused_count_for_no_rule() -> None:
    change = by_transform(Transform(drop=("z",), rename=(("y", "w"), ("a.b", "c"))))
    refused = change(EncodedBatch.of([encode({"y": 1, "z": 1, "a": [{"b": 1}]})]))
    assert len(refused.refused) == 1
    assert list(refused.rules) == [RuleOutcome()] * 3


names = st.sampled_from(["a", "b", "c", "d", "$e", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


OF_ABSENT_FIELDS = by_transform(
    Transform(
        rename=(("zz", "yy"), ("a.zz", "a.yy")),
        drop=("b.zz", "c.d.zz"),
        mask=(("d.zz", "faker:pyint"), ("zz", "faker:random_digit")),
    )
)


def test_another_faker_is_refused_by_its_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = Transform(mask=(("name", "faker:name"), ("email", "faker:email")), mask_seed=3)
    job = MigrationJob(
        namespaces=(),
        transform=transform,
        mask_digest=mask_digest(transform),
        made_with={"faker": "1.0"},
    )
    check_masks(job)
    masking._pool.cache_clear()
    monkeypatch.setattr(PersonProvider, "name", lambda _self: "Somebody")
    with pytest.raises(SpecRefused, match=r"produces different masks .*: faker 1\.0 there, \d+"):
        check_masks(job)
    masking._pool.cache_clear()
    check_masks(job.model_copy(update={"transform": Transform(), "mask_digest": ""}))


@pytest.mark.parametrize("method", ["date_of_birth", "color_hsl"])
def test_masks_that_do_not_repeat_are_refused(method: str) -> None:
    with pytest.raises(UsageError, match="depend on the day or on chance"):
        create_mask(f"faker:{method}", 1)


@given(document=st.dictionaries(names, values, max_size=5))
@settings(deadline=None, max_examples=40)
def test_changes_of_absent_fields_keep_every_byte(document: dict[str, Any]) -> None:
    raw = encode(document)
    assert OF_ABSENT_FIELDS(EncodedBatch.of([raw])).batch.data == raw


@given(document=st.dictionaries(names, values, max_size=5))
@settings(deadline=None, max_examples=40)
def test_dropping_is_what_a_dictionary_does(document: dict[str, Any]) -> None:
    left = {name: value for name, value in document.items() if name != "a"}
    change = by_transform(Transform(drop=("a",)))
    assert change(EncodedBatch.of([encode(document)])).batch.data == encode(left)


def test_repeated_fields_are_all_dropped() -> None:
    twice = (4 + 9 + 1).to_bytes(4, "little") + b"\x0aa\0\x0ab\0\x0aa\0" + b"\0"
    batch = by_transform(Transform(drop=("a",)))(EncodedBatch.of([twice])).batch
    raw = decode(batch.data, codec_options=CodecOptions(RawBSONDocument))
    assert list(raw) == ["b"]


shapes = st.sampled_from(
    [
        {"a": 1, "b": {"c": 2, "x": "y"}, "email": "e"},
        {"email": "other", "a": "text", "z": [1, 2]},
        {"a": {"b": 1}, "b": [{"c": 1}, {"c": 2}]},
        {"b": {"c": None}, "a": None},
        {"a": b"bytes", "b": {"c": {"d": 1}}},
    ]
)
EVERYTHING = Transform(
    rename=(("a", "A"), ("b.c", "moved.here"), ("b.x", "b.X")),
    drop=("z", "A.b"),
    set=(("s", "1"), ("b.t", '{"u": 2}'), ("A.v", "3")),
    mask=(("email", "faker:email"), ("moved.here", "faker:word"), ("b.t.u", "faker:pyint")),
    mask_seed=1,
)


AS_MUCH_AS_THERE_IS = by_transform(EVERYTHING)


few_of_a_shape = st.lists(shapes, min_size=16, max_size=80)
many_of_each = st.lists(shapes, min_size=1, max_size=6).map(lambda some: some * 16)


@given(documents=few_of_a_shape | many_of_each, numbers=st.randoms())
@settings(deadline=None, max_examples=40)
def test_many_documents_at_once_become_what_each_would_alone(
    documents: list[dict[str, Any]], numbers: Any
) -> None:
    raw = [encode({"_id": numbers.getrandbits(30), **document}) for document in documents]
    change = AS_MUCH_AS_THERE_IS
    alone = [change(EncodedBatch.of([document])) for document in raw]
    together = change(EncodedBatch.of(raw))
    assert list(together.batch.documents()) == [
        document for one in alone for document in one.batch.documents()
    ]
    assert list(together.refused) == [refused for one in alone for refused in one.refused]
    assert together.batch.offsets[-1] == len(together.batch.data)


@pytest.mark.parametrize("new", ["c", "c.d"])
def test_repeated_fields_are_all_renamed(new: str) -> None:
    twice = assemble([b"\x08a\0\0", b"\x0ab\0", b"\x08a\0\1"])
    found = by_transform(Transform(rename=(("a", new),)))(EncodedBatch.of([twice]))
    inside = elements(found.batch.document(0))
    if new == "c.d":
        [moved] = (field for field in inside if field.name == b"c")
        inside = elements(moved.value)
    values = [field.value for field in inside if field.name == new[-1:].encode()]
    assert values == [b"\0", b"\1"]
    assert found.rules[0] == RuleOutcome(changed=2)
