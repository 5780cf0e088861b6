"""Rules, filters and patterns that match nothing are refused; the effects of others are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Int64, ObjectId, decode, encode

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.rules import RuleOutcome, read_outcomes
from dataworks_tasks.runs.spec import MigrationJob, Transform
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.capabilities import DIALECTS
from producer.sampling import source_sample
from producer.sampling.source_sample import sample_collection
from producer.start.check_rules import check_rules, check_time_series
from producer.start.namespace_selection import SelectionRequest, select_namespaces
from tests.integration.migrate.conftest import Migration

PERSON = {
    "email": "a@example.com",
    "customer": {"name": "A", "phones": ["1", "2"]},
    "Notes": "x",
    "orders": [{"n": 1}],
    "a.b": 1,
}


def job_with(migration: Migration, **changes: Any) -> MigrationJob:
    rules = {name: changes.pop(name) for name in ("rename", "drop", "set", "mask") & changes.keys()}
    return migration.job(transform=Transform(**rules), **changes)


def mask(*paths: str) -> dict[str, Any]:
    return {"mask": tuple((path, "faker:email") for path in paths)}


@pytest.mark.situation(
    4,
    "`--mask`, `--drop-field`, `--rename` or `--filter` that matches nothing",
    before="copied as it is, exit 0",
    now="refused with the nearest name, exit 2; `--allow-unmatched` takes it",
)
@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (mask("emial"), r"--mask emial=faker:email matches nothing.*did you mean email\?"),
        (mask("Email"), r"did you mean email\?"),
        (mask("CUSTOMER.name"), r"did you mean customer\.name\?"),
        (mask("name"), r"did you mean customer\.name\?"),
        (mask("customer.phones.0"), r"did you mean customer\.phones "),
        ({"drop": ("notes",)}, r"--drop-field notes matches nothing.*did you mean Notes\?"),
        ({"rename": (("emali", "mail"),)}, r"--rename emali=mail matches nothing"),
        ({"set": (("emial", '""'),)}, r"--set emial matches nothing.*did you mean email\?"),
        ({**mask("email"), "drop": ("email",)}, r"an earlier rule removes the field 'email' \("),
        ({"rename": (("orders.n", "n"),)}, "moves no field out of an array"),
        ({"rename": (("a.b", "c"),)}, r"its name contains dots"),
        ({"filter": '{"$or": [{"email": 1}, {"emial": 2}]}'}, r"--filter matches nothing.*email\?"),
        ({"filter": '{"email": "b@example.com"}'}, "--filter matches no document of the source"),
    ],
)
def test_what_matches_nothing_is_refused_with_the_nearest_name(
    migration: Migration, rules: dict[str, Any], message: str
) -> None:
    migration.insert_raw("source", [encode({"_id": n, **PERSON}) for n in range(300)])
    with pytest.raises(UsageError, match=message) as refusal:
        check_rules(migration.source, job_with(migration, **rules))
    assert "--allow-unmatched" in refusal.value.remedy
    check_rules(migration.source, job_with(migration, **rules, allow_unmatched=True))


@pytest.mark.parametrize(
    "rules",
    [
        {**mask("email", "customer.phones"), "drop": ("Notes",), "set": (("migrated", "true"),)},
        {"rename": (("email", "mail"),), **mask("mail")},
        {"rename": (("customer", "client"),), **mask("client.name")},
        {"filter": '{"customer.phones.0": "1", "$nor": [{"email": "z"}]}'},
    ],
)
def test_what_matches_is_taken(migration: Migration, rules: dict[str, Any]) -> None:
    migration.insert_raw("source", [encode({"_id": n, **PERSON}) for n in range(300)])
    check_rules(migration.source, job_with(migration, **rules))


def test_a_source_without_documents_says_nothing_of_a_rule(migration: Migration) -> None:
    check_rules(migration.source, job_with(migration, **mask("email"), filter='{"a": 1}'))


def test_a_field_of_one_document_in_many_is_found(migration: Migration) -> None:
    documents = [{"_id": n, "v": 1} for n in range(5000)]
    documents[3217]["rare"] = 1
    migration.insert_raw("source", list(map(encode, documents)))
    sample = sample_collection(migration.source, migration.namespace("source"))
    assert not any(b"rare" in document for document in sample.documents.documents())
    check_rules(migration.source, job_with(migration, **mask("rare")))
    renamed = {"rename": (("rare", "seldom"),), **mask("seldom")}
    check_rules(migration.source, job_with(migration, **renamed))
    with pytest.raises(UsageError, match="every document was searched"):
        check_rules(migration.source, job_with(migration, **mask("rarer")))


def test_rules_may_match_in_one_collection_of_several(migration: Migration) -> None:
    migration.insert_raw("source", [encode({"_id": 1, "a": 1})])
    migration.insert_raw("people", [encode({"_id": 1, "email": "a"})])
    pairs = tuple(
        migration.job().namespaces[0].model_copy(update={"source": migration.namespace(name)})
        for name in ("source", "nothing", "people")
    )
    check_rules(migration.source, job_with(migration, namespaces=pairs, **mask("email")))
    with pytest.raises(UsageError, match="emial"):
        check_rules(migration.source, job_with(migration, namespaces=pairs, **mask("emial")))


KEYS = [
    lambda n: n,
    lambda n: Int64(n * 10**12),
    lambda n: f"user-{n:07}",
    lambda n: ObjectId((n << 70).to_bytes(12, "big")),
    lambda n: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=n),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("way", ["skip", "draw", "work out"])
def test_a_sample_comes_from_several_places(
    migration: Migration, monkeypatch: pytest.MonkeyPatch, key: Any, way: str
) -> None:
    count = 4000
    migration.insert_raw("source", [encode({"_id": key(n), "n": n}) for n in range(count)])
    source = migration.source
    if way == "draw":
        monkeypatch.setattr(source_sample, "_FEW_ENOUGH_TO_SKIP", 0)
    if way == "work out":
        monkeypatch.setattr(source, "_capabilities", DIALECTS[DatabaseType.COSMOS_DB])
    sample = sample_collection(source, migration.namespace("source"))
    numbers = sorted(decode(document)["n"] for document in sample.documents.documents())
    assert len(set(numbers)) == len(numbers)
    assert not sample.complete
    assert {n * 8 // count for n in numbers} == set(range(8))
    assert 500 <= len(numbers) <= 1000


def test_a_sample_of_keys_of_many_types_reaches_each(migration: Migration) -> None:
    keys = [*range(1000), *(f"k{n:05}" for n in range(1000)), *(ObjectId() for _ in range(1000))]
    migration.insert_raw("source", [encode({"_id": key}) for key in keys])
    sample = sample_collection(migration.source, migration.namespace("source"))
    assert {document[4] for document in sample.documents.documents()} == {0x10, 0x02, 0x07}


def test_a_small_collection_is_sampled_completely(migration: Migration) -> None:
    migration.insert_raw("source", [encode({"_id": n}) for n in range(99)])
    sample = sample_collection(migration.source, migration.namespace("source"))
    assert (len(sample.documents), sample.complete) == (99, True)


def test_large_documents_do_not_fill_the_memory(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_sample, "_MOST_BYTES", 1_000_000)
    text = "x" * 100_000
    migration.insert_raw("source", [encode({"_id": n, "text": text}) for n in range(300)])
    sample = sample_collection(migration.source, migration.namespace("source"))
    assert sample.documents.size_bytes < 16_000_000


@pytest.mark.situation(
    4,
    "a mask, filter or strategy on a time series",
    before="applied to its buckets: real values copied, or 0 of 10 documents, exit 0",
    now="refused, exit 2",
)
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (mask("v"), "--mask v=faker:email"),
        ({"drop": ("v",)}, "--drop-field v"),
        ({"rename": (("v", "w"),)}, "--rename v=w"),
        ({"set": (("w", "1"),)}, "--set w"),
        ({"filter": '{"v": {"$gt": 1}}'}, "--filter"),
        ({"strategy": "date-based:t"}, "--strategy date-based:t"),
    ],
)
def test_a_time_series_is_not_changed_by_its_buckets(
    migration: Migration, changes: dict[str, Any], named: str
) -> None:
    database = migration.source.database(migration.database)
    database.create_collection("series", timeseries={"timeField": "t", "metaField": "m"})
    selection = select_namespaces(
        migration.source,
        SelectionRequest(
            include=[f"{migration.database}.series"],
            renames=[(f"{migration.database}.series", f"{migration.database}.copy")],
        ),
    )
    job = job_with(migration, namespaces=selection.pairs, allow_unmatched=True, **changes)
    with pytest.raises(UsageError, match=f"{migration.database}.series is a time series.*{named}"):
        check_time_series(job)
    check_time_series(job_with(migration, namespaces=selection.pairs))


@pytest.mark.situation(
    4,
    "an `--exclude` or `--map` pattern that matches nothing",
    before="ignored, exit 0",
    now="refused, exit 2",
)
def test_patterns_that_match_nothing_are_refused(migration: Migration) -> None:
    for name in ("orders", "customers"):
        migration.source.database(migration.database).create_collection(name)

    def select(allow_unmatched: bool = False, **changes: Any) -> None:
        patterns = {
            name: [pattern.replace("DB", migration.database) for pattern in patterns]
            for name, patterns in changes.items()
            if name != "renames"
        }
        renames = [
            tuple(side.replace("DB", migration.database) for side in pair)
            for pair in changes.get("renames", ())
        ]
        request: Any = {"include": [f"{migration.database}.*"], "renames": renames, **patterns}
        select_namespaces(
            migration.source, SelectionRequest(**request, allow_unmatched=allow_unmatched)
        )

    cases: list[tuple[dict[str, Any], str]] = [
        ({"exclude": ["DB.oders"]}, r"--exclude .*oders matches no collection.*Did you mean"),
        ({"exclude": ["DB.tmp*"]}, r"--exclude .*tmp\* matches no collection"),
        ({"renames": [("DB.customer", "x.y")]}, r"--map .*customer=x.y matches no collection"),
        (
            {"exclude": ["DB.orders"], "renames": [("DB.orders", "x.y")]},
            "--map .* matches no collection that is copied",
        ),
        (
            {"renames": [("DB.*", "a.*"), ("DB.orders", "x.y")]},
            "--map .*orders=x.y is never used: an earlier one",
        ),
    ]
    for changes, message in cases:
        with pytest.raises(UsageError, match=message):
            select(**changes)
        select(allow_unmatched=True, **changes)
    select(exclude=["DB.orders"], renames=[("DB.cust*", "x.*")])


def test_what_rules_did_is_counted_once_whatever_is_repeated(migration: Migration) -> None:
    documents = [{"_id": n, "a": {"b": f"v{n}"} if n % 3 else f"v{n}", "c": n} for n in range(900)]
    migration.insert_raw("source", list(map(encode, documents)))
    job = job_with(migration, **mask("a.b"), drop=("c",), set=(("d", "1"), ("a.e", "1")))
    counters = migration.copy(job)
    assert read_outcomes(counters, 4) == (
        RuleOutcome(changed=900),
        RuleOutcome(added=900),
        RuleOutcome(added=900, displaced=300),
        RuleOutcome(changed=600, unreached=0),
    )
