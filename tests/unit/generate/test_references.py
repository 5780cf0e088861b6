"""References: what they copy, which document they point to, and mgodatagen's values by id."""

from __future__ import annotations

from collections import Counter
from typing import Any

import bson
import pytest

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.templates.load_template import document_source, parse_template

TICKETS = {
    "collection": "tickets", "count": 100, "content": {
        "_id": {"type": "autoincrement"},
        "status": {"type": "enum", "values": ["open", "closed"]},
        "closedAt": {"type": "date", "when": "status == 'closed'"},
        "note": {"type": "string", "missing": 30, "null": 20},
        "box": {"type": "object", "missing": 40, "objectContent": {"n": {"type": "int"}}},
    },
}  # fmt: skip


def made(template: Any, position: int = 1, count: int = 1000) -> list[dict[str, Any]]:
    parsed = parse_template(template, "t")
    return bson.decode_all(document_source(parsed, position, 3).generate(0, count).data)


def referring(**fields: Any) -> list[Any]:
    return [TICKETS, {"collection": "log", "count": 1000, "content": fields}]


def to_tickets(field: str = "_id", **more: Any) -> dict[str, Any]:
    return {"type": "reference", "to": "tickets", "field": field, **more}


def problem(template: Any) -> str:
    with pytest.raises(TemplateError) as caught:
        parse_template(template, "t")
    return str(caught.value)


def test_a_reference_is_missing_where_what_it_copies_is_missing() -> None:
    template = referring(
        ticket=to_tickets(group="t"), status=to_tickets("status", group="t"),
        closedAt=to_tickets("closedAt", group="t"), note=to_tickets("note", group="t"),
        n=to_tickets("box.n", group="t"),
        later={"type": "expr", "expr": "year(closedAt)"},
        notes={"type": "array", "size": 3, "arrayContent": to_tickets("note")},
    )  # fmt: skip
    tickets = {entry["_id"]: entry for entry in made(template, 0, 100)}
    for entry in made(template):
        ticket = tickets[entry["ticket"]]
        assert ("closedAt" in entry) == (ticket["status"] == "closed") == ("closedAt" in ticket)
        assert entry.get("closedAt") == ticket.get("closedAt")
        assert (entry["later"] is None) == ("closedAt" not in ticket)
        assert entry.get("note", "gone") == ticket.get("note", "gone")
        assert entry.get("n") == ticket.get("box", {}).get("n")
        assert len(entry["notes"]) <= 3
    lengths = Counter(len(entry["notes"]) for entry in made(template))
    assert lengths[3] < 500


def test_a_group_shares_one_distribution() -> None:
    zipf = {"type": "zipf", "exponent": 1.2}
    template = referring(
        id=to_tickets(group="g"), twice=to_tickets(group="g"),
        status=to_tickets("status", group="g", distribution=zipf),
    )  # fmt: skip
    entries = made(template)
    assert all(entry["id"] == entry["twice"] for entry in entries)
    assert all(entry["status"] == ("open", "closed")[entry["id"] % 2] for entry in entries)
    assert Counter(entry["id"] for entry in entries)[0] > 100


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"a": to_tickets(group="g", distribution="zipf"),
          "b": to_tickets(group="g", distribution="normal")}, "b.distribution: differs"),
        ({"a": to_tickets(group="g"), "b": {**to_tickets(group="g"), "to": "log"}},
         "documents of log cannot be combined with documents of tickets"),
        ({"a": to_tickets(group="g"),
          "b": {"type": "array", "arrayContent": to_tickets(group="g")}}, "has other rows"),
        ({"a": to_tickets(group="g"), "b": {"type": "enum", "values": [1], "group": "g"}},
         "1 value cannot be combined with documents of tickets"),
        ({"a": {"type": "enum", "values": [1, 2], "group": "g"},
          "b": {"type": "enum", "values": [1, 2, 3], "group": "g"}},
         "3 values cannot be combined with 2"),
        ({"a": {"type": "enum", "values": [1, 2], "group": "g", "weights": [1, 2]},
          "b": {"type": "enum", "values": [1, 2], "group": "g", "weights": [2, 1]}},
         "b.weights: differs"),
        ({"a": {"type": "enum", "values": [1, 2], "group": "g"},
          "b": {"type": "vin", "makers": ["WVW"], "group": "g"}},
         "1 value cannot be combined with 2"),
        ({"a": {"type": "enum", "values": [1, 2], "group": "g"},
          "b": {"type": "enum", "values": [1, 2], "group": "g", "maxDistinctValue": 1}},
         "has other rows"),
        ({"a": to_tickets(distinct=True)}, "applies only to the elements of an array"),
        ({"a": to_tickets(inTurn=True, earlier=True)}, "cannot be combined with inTurn"),
        ({"a": to_tickets(oneToOne=True, distribution="zipf")}, "nothing is drawn"),
        ({"a": to_tickets(by="gone")}, "there is no field 'gone'"),
        ({"a": to_tickets(by="'x'")}, "must be the number of a document"),
        ({"a": {"type": "array", "size": 101, "arrayContent": to_tickets(distinct=True)}},
         "but the collection has 100 documents"),
        ({"a": {"type": "array", "size": 4, "arrayContent":
                {"type": "enum", "values": [1, 2, 3], "distinct": True}}}, "only 3 values"),
        ({"a": {"type": "enum", "values": [1, 2], "distinct": True}}, "elements of an array"),
        ({"a": {"type": "array", "size": 2, "arrayContent":
                {"type": "enum", "values": ["x", "y", "x"], "distinct": True}}}, 'has "x" twice'),
        ({"a": {"type": "array", "size": 2, "arrayContent": {
            "type": "enum", "values": [1, 2, 3], "weights": [0, 1, 0], "distinct": True}}},
         "there is only 1 value; "),
        ({"_id": to_tickets()}, "must be unique"),
        ({"a": {"type": "reference", "id": 7, "refContent": {"type": "int"}},
          "b": {"type": "reference", "id": 7, "refContent": {"type": "boolean"}}},
         "b.refContent: differs from the other one of id '7'"),
        ({"a": {"type": "reference"}}, "a.to: is missing: the collection to refer to"),
        ({"a": {"type": "reference", "id": 7}}, "no other field defines id '7'"),
    ],
)  # fmt: skip
def test_what_cannot_go_together_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in problem(referring(**fields))


@pytest.mark.parametrize("size", [3, 60])
@pytest.mark.parametrize("skew", [{}, {"distribution": "zipf"}])
def test_distinct_documents_in_an_array(size: int, skew: dict[str, Any]) -> None:
    element = to_tickets(distinct=True, **skew)
    entries = made(referring(a={"type": "array", "size": size, "arrayContent": element}), count=200)
    assert all(len(set(entry["a"])) == size for entry in entries)
    first = Counter(entry["a"][0] for entry in entries)
    assert (first[0] > 20) == bool(skew)


def test_a_tree_points_to_earlier_documents() -> None:
    folders = {"collection": "folders", "count": 500, "content": {
        "_id": {"type": "autoincrement"},
        "parent": {"type": "reference", "to": "folders", "earlier": True},
        "deep": {"type": "reference", "to": "folders", "earlier": True, "distribution": "zipf"},
    }}  # fmt: skip
    entries = made([folders], 0, 500)
    assert "parent" not in entries[0]
    assert all(entry["parent"] < entry["_id"] for entry in entries[1:])
    assert all(entry["deep"] < entry["_id"] for entry in entries[1:])
    assert Counter(entry["deep"] for entry in entries[1:])[0] > 80
    assert made([folders], 0, 20) == entries[:20]


def test_one_to_one_and_the_id_of_another_collection() -> None:
    profiles = {"collection": "profiles", "count": 100, "content": {
        "_id": to_tickets(oneToOne=True, group="t"), "status": to_tickets("status", group="t"),
    }}  # fmt: skip
    entries = made([TICKETS, profiles], 1, 100)
    assert sorted(entry["_id"] for entry in entries) == list(range(100))
    assert [entry["_id"] for entry in entries] != list(range(100))
    template = parse_template([TICKETS, profiles], "t")
    with pytest.raises(Exception, match="100 different values"):
        template.check_total(1, 101)


def test_an_id_that_is_an_object() -> None:
    users = {"collection": "users", "count": 50, "content": {"_id": {"type": "object",
             "objectContent": {"site": {"type": "enum", "values": ["a", "b"]},
                               "n": {"type": "autoincrement"}}}}}  # fmt: skip
    log = {"collection": "log", "count": 200, "content": {
        "user": {"type": "reference", "to": "users", "group": "u"},
        "n": {"type": "reference", "to": "users", "field": "_id.n", "group": "u"}}}  # fmt: skip
    known = [entry["_id"] for entry in made([users, log], 0, 50)]
    for entry in made([users, log], 1, 200):
        assert entry["user"] in known
        assert entry["user"]["n"] == entry["n"]


def test_the_document_that_an_expression_names() -> None:
    entries = made(referring(
        n={"type": "autoincrement"}, gone={"type": "int", "missing": 50},
        ticket=to_tickets(by="n * 7 - 3"), other=to_tickets(by="gone"),
    ))  # fmt: skip
    assert all(entry["ticket"] == (entry["n"] * 7 - 3) % 100 for entry in entries)
    assert all(("other" in entry) == ("gone" in entry) for entry in entries)


def test_values_by_id_go_in_turn_wherever_they_are_defined() -> None:
    """As mgodatagen: the definer counts wherever it is, and each field begins at the first."""
    start = {"type": "reference", "id": 1}
    noon = "2021-06-12T12:00:00Z"
    date = {"type": "date", "startDate": noon, "endDate": noon}
    one = {"collection": "one", "count": 60, "content": {
        "start": start, "same": date,
        "createdAt": {**start, "refContent": {"type": "int"}}}}  # fmt: skip
    two = {"collection": "two", "count": 150, "content": {
        "_id": {"type": "objectId"}, "ref": start,
        "pair": {"type": "array", "size": 2, "arrayContent": start}}}  # fmt: skip
    for order in ([one, two], [two, one]):
        entries = made(order, order.index(one), 60)
        values = [entry["createdAt"] for entry in entries]
        assert [entry["start"] for entry in entries] == values
        assert len({entry["same"] for entry in entries}) == 1
        links = made(order, order.index(two), 150)
        assert [entry["ref"] for entry in links] == [values[index % 60] for index in range(150)]
        assert [n for entry in links for n in entry["pair"]] == [
            values[index % 60] for index in range(300)
        ]


def test_arrays_of_values_in_turn_do_not_begin_alike() -> None:
    element = {"type": "enum", "values": ["a", "b", "c"]}
    array = {"type": "array", "maxLength": 3, "arrayContent": element}
    entries = made([{"collection": "c", "content": {"x": array}}], 0, 300)
    assert {entry["x"][0] for entry in entries if entry["x"]} == {"a", "b", "c"}
    fixed = made([{"collection": "c", "content": {"x": {**array, "minLength": 3}}}], 0, 5)
    assert all(entry["x"] == ["a", "b", "c"] for entry in fixed)
