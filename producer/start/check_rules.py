"""Refuse rules and filters that would match nothing, before anything is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bson.raw_bson import RawBSONDocument
from pymongo.errors import ExecutionTimeout, PyMongoError

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.document_change import by_strategy
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.route import document_change, parsed_filter
from dataworks_tasks.migrate.rules import Rule, RuleKind, RuleOutcome, rules_of
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.namespace import BUCKETS, Namespace, series_of_buckets
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classify
from producer.sampling.field_paths import field_paths, is_known_path, nearest_paths, query_paths
from producer.sampling.source_sample import SourceSample, sample_collection

_SEARCH_SECONDS = 5.0
"""The time for searching all collections for fields that no sample has."""
_MISTYPED = 0.8
"""From this similarity on, ``--set`` seems to be meant for an existing field."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A rule or filter that matches nothing in the documents that were read."""

    what: str
    path: str
    nearest: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """What may be why, if documents have the field before the rules are applied."""

    def __str__(self) -> str:
        if self.reasons:
            return f"{self.what} matches nothing: {', or '.join(self.reasons)}"
        hint = f": did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        return f"{self.what} matches nothing: no document has the field {self.path!r}{hint}"


@dataclass(slots=True)
class _Seen:
    """The combined samples of all collections."""

    job: MigrationJob
    outcomes: list[RuleOutcome]
    paths: set[str] = field(default_factory=set)
    read_paths: set[str] = field(default_factory=set)
    documents: int = 0
    complete: bool = True

    def add(self, sample: SourceSample) -> None:
        """Apply the run's changes to a sample, and note which fields it had before."""
        strategy = MigrationStrategyFactory.create(self.job.strategy)
        batch = sample.documents
        self.documents += len(batch)
        self.complete = self.complete and sample.complete
        self.read_paths |= field_paths(batch.documents())
        made = batch if strategy.copies_raw else by_strategy(strategy)(batch).batch
        self.paths |= field_paths(made.documents())
        done = document_change(self.job)(batch).rules
        for total, outcome in zip(self.outcomes, done, strict=True):
            total.add(outcome)


def check_time_series(job: MigrationJob) -> None:
    """Raise UsageError when the job would change, filter or cut the documents of a time series.

    They are copied as the buckets in which the server stores them: a rule would look for its field
    in a bucket, not in a measurement.
    """
    series = [
        str(series_of_buckets(pair.source))
        for pair in job.namespaces
        if pair.source.collection.startswith(BUCKETS)
    ]
    strategy = MigrationStrategyFactory.create(job.strategy)
    asked = [str(rule) for rule in rules_of(job.transform)]
    asked += ["--filter"] if job.filter is not None else []
    if not strategy.copies_raw or strategy.resume_field != "_id":
        asked.append(f"--strategy {job.strategy}")
    if series and asked:
        one = "is a time series" if len(series) == 1 else "are time series"
        raise UsageError(
            f"{', '.join(series)} {one}, whose documents are copied in the server's buckets: "
            f"{', '.join(asked)} cannot be applied to measurements",
            f"Leave it out with --exclude {series[0]}, and copy it unchanged in a run of its own",
        )


def check_rules(source: BaseDatabaseClient, job: MigrationJob) -> None:
    """Raise UsageError when a rule or the filter of the job would match nothing at the source.

    Samples the collections until every rule has matched. A field that no sample has is searched for
    if that costs no request units, for at most five seconds. Collections without documents say
    nothing about a rule. Does nothing if the job allows rules that match nothing.
    """
    if job.allow_unmatched or not (job.transform or job.filter):
        return
    seen = _Seen(job, [RuleOutcome() for _ in rules_of(job.transform)])
    found: Sequence[Unmatched] = ()
    for pair in job.namespaces:
        seen.add(sample_collection(source, pair.source))
        found = list(_unmatched(seen))
        if seen.documents and not found:
            break
    if not seen.documents:
        return
    rare = _Search(source, [pair.source for pair in job.namespaces])
    if not seen.complete:
        found = [
            item for item in found if item.reasons or not rare.finds(_source_paths(job, item.path))
        ]
    if found:
        raise _refusal(found, seen, rare)
    if job.filter is not None:
        _check_filter(rare, job)


def _unmatched(seen: _Seen) -> Iterator[Unmatched]:
    for rule, outcome in zip(rules_of(seen.job.transform), seen.outcomes, strict=True):
        if _is_unmatched(rule, outcome, seen):
            cutoff = _MISTYPED if rule.kind is RuleKind.SET else 0.6
            nearest = tuple(nearest_paths(rule.path, seen.paths, cutoff))
            reasons = tuple(_reasons(rule)) if rule.path in seen.paths else ()
            yield Unmatched(str(rule), rule.path, nearest, reasons)
    query = parsed_filter(seen.job)
    for path in query_paths(query) if query is not None else ():
        if not is_known_path(seen.read_paths, path):
            yield Unmatched("--filter", path, tuple(nearest_paths(path, seen.read_paths)))


def _reasons(rule: Rule) -> Iterator[str]:
    """Yield what may keep a rule from a field that documents have."""
    yield f"an earlier rule removes the field {rule.path!r}"
    if "." in rule.path and rule.kind in (RuleKind.RENAME, RuleKind.SET):
        yield "its name contains dots, and only --mask and --drop-field find such a field"
    if "." in rule.path and rule.kind is RuleKind.RENAME:
        yield "it is in an array, and --rename moves no field out of an array"


def _is_unmatched(rule: Rule, outcome: RuleOutcome, seen: _Seen) -> bool:
    if rule.kind is not RuleKind.SET:
        return not outcome.matched
    # It makes new fields, unless it seems to be meant for an existing one.
    return not outcome.changed and bool(nearest_paths(rule.path, seen.paths, _MISTYPED))


def _source_paths(job: MigrationJob, path: str) -> tuple[str, ...]:
    """Return the paths that ``path`` of a rule may have at the source, before the renames."""
    found = [path]
    for old, new in reversed(job.transform.rename):
        found += [
            old + name[len(new) :] for name in found if name == new or name.startswith(f"{new}.")
        ]
    return tuple(dict.fromkeys(found))


@dataclass(slots=True)
class _Search:
    """Searches collections for what no sample has, as long as there is time."""

    source: BaseDatabaseClient
    namespaces: Sequence[Namespace]
    deadline: float = field(default_factory=lambda: time.monotonic() + _SEARCH_SECONDS)
    began: bool = False
    exhaustive: bool = True
    """Whether every search so far covered all documents."""

    def finds(self, paths: Sequence[str]) -> bool:
        """Return whether any document has one of the fields.

        A server reads a number in a path as an array index; rules do not.
        """
        paths = [path for path in paths if not any(part.isdigit() for part in path.split("."))]
        return bool(paths) and self.any({"$or": [{path: {"$exists": True}} for path in paths]})

    def any(self, query: object) -> bool:
        """Return whether any document matches."""
        return any(self._any_in(namespace, query) for namespace in self.namespaces)

    def _any_in(self, namespace: Namespace, query: object) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0 or self.source.capabilities.request_charge:
            self.exhaustive = False
            return False
        self.began = True
        collection = self.source.collection(namespace)
        try:
            return (
                collection.find_one(query, {"_id": 1}, max_time_ms=max(1, round(left * 1000)))
                is not None
            )
        except ExecutionTimeout:
            self.exhaustive = False
            return False
        except PyMongoError as error:
            raise classify(error) from None


def _refusal(found: Sequence[Unmatched], seen: _Seen, search: _Search) -> UsageError:
    looked = f"{counted(seen.documents, 'document was', 'documents were')} sampled"
    if seen.complete:
        looked = f"all {seen.documents:,} documents were checked"
    elif search.began and search.exhaustive:
        looked += ", and every document was searched"
    elif search.began:
        looked += f", and others searched for {_SEARCH_SECONDS:.0f} seconds"
    facts = "; ".join(map(str, found))
    return UsageError(
        f"{facts} ({looked})",
        "Correct the path, or add --allow-unmatched if this is intended. Nothing was written",
    )


def _check_filter(search: _Search, job: MigrationJob) -> None:
    query = parsed_filter(job)
    assert query is not None
    search.deadline = time.monotonic() + _SEARCH_SECONDS
    search.exhaustive = True
    if not search.any(RawBSONDocument(query)) and search.exhaustive:
        raise UsageError(
            "--filter matches no document of the source",
            "Correct it, or add --allow-unmatched if this is intended. Nothing was written",
        )
