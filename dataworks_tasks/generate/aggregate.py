"""Fields that are computed from other collections, written when all documents are there.

mgodatagen's countAggregator, valueAggregator and boundAggregator. What a document gets depends on
what the collections hold and on nothing else, so doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import decode_all, encode
from bson.decimal128 import Decimal128
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.write_concern import WriteConcern

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import Throttled
from dataworks_tasks.generate.template import CollectionTemplate
from dataworks_tasks.migrate.key_space import ID, key_of
from dataworks_tasks.migrate.read_slice import SliceSource, read_slice
from dataworks_tasks.migrate.slice import STRING, Cover, Slice
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.raw_bson import TOLERANT, Element
from dataworks_tasks.retry_policy import classified
from dataworks_tasks.store.bulk_write import Pace
from dataworks_tasks.store.client import BaseDatabaseClient, write_concern_document
from dataworks_tasks.store.patience import patiently
from dataworks_tasks.store.write_outcome import WriteOutcome
from dataworks_tasks.work import FinishTurn, WholeTurn

DOCUMENTS_PER_UPDATE = 5_000
"""Each batch asks the other collection once, so a larger one reads it less often."""

_TYPE_BY_TYPE = (
    Slice(0, cover=Cover.ONE_TYPE),  # ObjectIds
    Slice(0, Element(STRING, b"", b"\x01\0\0\0\0"), cover=Cover.ONE_TYPE),
    Slice(0, cover=Cover.OTHER_TYPES),
)
"""The whole key space in questions of one type each: a cut cursor goes on whatever the order."""
_VARIABLE = "$$"
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Field ``target`` of the documents of ``namespace``, computed from those of ``source``.

    ``kind`` is ``count`` (how many match), ``value`` (the different values of ``field`` in them,
    sorted) or ``bound`` (the smallest, ``m``, and the largest, ``M``). A text ``$$name`` in
    ``query`` stands for the value of field ``name`` of the document that is updated; a document
    without it is left alone.
    """

    namespace: Namespace
    target: str
    kind: str
    source: Namespace
    query: Mapping[str, Any]
    field: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields that ``query`` refers to."""
        return tuple(dict.fromkeys(_variables_in(self.query)))

    @property
    def joined_by(self) -> str | None:
        """The source's field that equals the only variable, so that many values go in one query."""
        if len(list(_variables_in(self.query))) != 1:
            return None
        names = [name for name, value in self.query.items() if _is_variable(value)]
        by_position = any(part.isdigit() for name in names for part in name.split("."))
        return names[0] if names and not by_position else None


def aggregations_of(
    collection: CollectionTemplate,
    namespace: Namespace,
    placed: Sequence[tuple[CollectionTemplate, Namespace]],
) -> tuple[Aggregation, ...]:
    """The aggregators of ``collection``, which the run calls ``namespace``.

    They name collections as the template does; ``placed`` says where the run has put them.
    """
    return tuple(
        Aggregation(
            namespace,
            request["target"],
            request["kind"],
            _placed(request["database"], request["collection"], namespace, placed),
            request["query"],
            request.get("field", ""),
        )
        for request in collection.aggregators
    )


def _placed(
    database: str,
    collection: str,
    own: Namespace,
    placed: Sequence[tuple[CollectionTemplate, Namespace]],
) -> Namespace:
    for template, namespace in placed:
        if template.collection == collection and database in ("", template.database):
            return namespace
    return Namespace(database or own.database, collection)


@dataclass(frozen=True, slots=True)
class AggregationTurn:
    """How to compute: how to write, behind which ``_id`` to begin, and whom to tell what is done.

    ``note`` is called with the ``_id`` up to which every document has its value.
    """

    write_concern: str = "majority"
    pace: Pace | None = None
    after: Element | None = None
    note: Callable[[Element], None] = lambda _key: None
    turn: FinishTurn = field(default_factory=WholeTurn)


_WHOLE = AggregationTurn()


def aggregate(
    client: BaseDatabaseClient, aggregation: Aggregation, turns: AggregationTurn = _WHOLE
) -> bool:
    """Compute the field for every document of the collection and write it, in batches.

    False when the turn was over before the end. Raises the errors of ``retry_policy.classify``;
    go on behind what was noted after a transient one.
    """
    done = 0
    what = f"computing {aggregation.target} of {aggregation.namespace}"
    turns.turn.show(lambda: f"{what}: {done:,} documents")
    shard_key = client.shard_key(aggregation.namespace)
    for batch in _batches(client, aggregation.namespace, turns.after):
        documents = decode_all(batch.data, TOLERANT)
        if updates := _updates(client, aggregation, documents, shard_key):
            _write(client, aggregation.namespace, _Updates(updates, batch.size_bytes), turns)
        done += len(documents)
        turns.note(key_of(batch.document(len(batch) - 1), ID))
        if turns.turn.reached and _goes_on_by_key(client):
            return False
    return True


def _goes_on_by_key(client: BaseDatabaseClient) -> bool:
    """Cosmos DB RU has an order of types of its own: there it is all documents in one go."""
    return client.capabilities.sample


def _batches(
    client: BaseDatabaseClient, namespace: Namespace, after: Element | None
) -> Iterator[EncodedBatch]:
    source = SliceSource(client, namespace, batch_size=DOCUMENTS_PER_UPDATE)
    if not _goes_on_by_key(client):
        for slice_ in _TYPE_BY_TYPE:
            yield from read_slice(source, slice_)
        return
    yield from read_slice(source, Slice(0), after)


def _updates(
    client: BaseDatabaseClient,
    aggregation: Aggregation,
    batch: Sequence[Mapping[str, Any]],
    shard_key: str | None,
) -> list[UpdateOne]:
    wanted = []
    for document in batch:
        values = tuple(_value_at(document, name) for name in aggregation.variables)
        if _MISSING not in values:
            wanted.append((document, _key(values), values))
    results = _results(client, aggregation, {key: values for _, key, values in wanted})
    updates = []
    for document, key, _ in wanted:
        query = {"_id": document["_id"]}
        if shard_key and (value := _value_at(document, shard_key)) is not _MISSING:
            query[shard_key] = value
        updates.append(UpdateOne(query, {"$set": {aggregation.target: results[key]}}))
    return updates


@dataclass(frozen=True, slots=True)
class _Updates:
    """Updates, and the bytes of their documents: what a server that counts units charges for."""

    updates: Sequence[UpdateOne]
    size_bytes: int


def _write(
    client: BaseDatabaseClient, namespace: Namespace, wanted: _Updates, turns: AggregationTurn
) -> None:
    concern = WriteConcern(**write_concern_document(turns.write_concern))
    collection = client.collection(namespace).with_options(write_concern=concern)
    each = wanted.size_bytes / len(wanted.updates)
    at_once = turns.pace.documents_at_once(each) if turns.pace else None
    size = at_once or len(wanted.updates)
    for start in range(0, len(wanted.updates), size):
        left = list(wanted.updates[start : start + size])
        patiently(lambda left=left: _paced(collection, left, each, turns.pace))  # type: ignore[misc]


def _paced(
    collection: Collection[dict[str, Any]],
    left: list[UpdateOne],
    bytes_each: float,
    pace: Pace | None,
) -> None:
    """Write updates within the run's budget; after an error ``left`` is what is not written."""
    count = len(left)
    reservation = pace.reserve(count, round(bytes_each * count)) if pace else None
    outcome = WriteOutcome(written=count)
    try:
        with classified():
            try:
                collection.bulk_write(left, ordered=False)
            except BulkWriteError as error:
                if refused := error.details["writeErrors"]:
                    left[:] = [left[item["index"]] for item in refused]
                raise _first_refusal(error) from None
    except Throttled as error:
        # What was refused is the tail of the batch: positions say how many, not which.
        throttled = tuple(range(count - len(left), count))
        outcome = WriteOutcome(count - len(throttled), throttled=throttled, reason=str(error))
        raise
    finally:
        if pace and reservation:
            pace.settle(reservation, outcome)


def _first_refusal(error: BulkWriteError) -> OperationFailure:
    """What to classify: the code of the whole says only that there is a refusal in it."""
    refused = (error.details["writeErrors"] or error.details["writeConcernErrors"])[0]
    return OperationFailure(str(refused.get("errmsg", error)), refused.get("code"))


def _results(
    client: BaseDatabaseClient,
    aggregation: Aggregation,
    wanted: Mapping[Hashable, tuple[Any, ...]],
) -> dict[Hashable, Any]:
    """What the target becomes, for each of the different values of the variables."""
    results: dict[Hashable, Any] = {}
    if aggregation.joined_by is not None:
        # One query a batch, not one for each value: without an index it reads the source whole.
        together = [values for values in wanted.values() if _is_scalar(values[0])]
        results = {_key(values): _result(aggregation, {}) for values in together}
        for row in _rows(client, aggregation, _joined(aggregation, [v for (v,) in together])):
            if _is_scalar(row["_id"]):  # not [1] in an array of arrays, in which a query sees 1
                results[_key((row["_id"],))] = _result(aggregation, row)
    for key, values in wanted.items():
        if key not in results:
            known = dict(zip(aggregation.variables, values, strict=True))
            stages = [
                {"$match": _filled(aggregation.query, known)},
                {"$project": _taken(aggregation, {"$literal": None})},
                *_grouped(aggregation),
            ]
            row = next(iter(_rows(client, aggregation, stages)), {})
            results[key] = _result(aggregation, row)
    return results


def _rows(
    client: BaseDatabaseClient, aggregation: Aggregation, stages: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    def ask() -> list[dict[str, Any]]:
        return client.aggregate(aggregation.source, stages)

    return patiently(ask)


def _joined(aggregation: Aggregation, values: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Stages that make a row for each of ``values`` that is there, its ``_id``.

    A source document that holds several of them in arrays counts once for each, as in a query.
    """
    name = aggregation.joined_by or ""
    one_of = {"$in": list(values)}
    match = {"$match": {**aggregation.query, name: one_of}}
    first, *inner = name.split(".")
    if not inner:
        path = f"${name}"
        once = {"$cond": [{"$isArray": path}, {"$setUnion": [path, []]}, path]}
        project = {"$project": _taken(aggregation, once)}
        of_these = {"$match": {"by": one_of}}
        return [match, project, {"$unwind": "$by"}, of_these, *_grouped(aggregation)]
    paths = [".".join(("by", *inner[:length])) for length in range(len(inner) + 1)]
    return [
        match,
        {"$project": _taken(aggregation, f"${first}")},
        *({"$unwind": f"${path}"} for path in paths),
        {"$match": {paths[-1]: one_of}},
        {"$group": {"_id": {"id": "$_id", "by": f"${paths[-1]}"}, "of": {"$first": "$of"}}},
        {"$project": {"by": "$_id.by", "of": 1}},
        *_grouped(aggregation),
    ]


def _taken(aggregation: Aggregation, by: object) -> dict[str, Any]:
    """What a pipeline needs of a source document: the joined value and the field."""
    return {"by": by, "of": f"${aggregation.field}"} if aggregation.field else {"by": by}


def _grouped(aggregation: Aggregation) -> list[Mapping[str, Any]]:
    """Stages that make a row for each value of ``by`` from what was taken."""
    if aggregation.kind == "count":
        return [{"$group": {"_id": "$by", "result": {"$sum": 1}}}]
    if aggregation.kind == "bound":
        bounds = {"m": {"$min": "$of"}, "M": {"$max": "$of"}}
        return [{"$unwind": "$of"}, {"$group": {"_id": "$by", **bounds}}]
    return [
        {"$unwind": "$of"},
        {"$group": {"_id": {"by": "$by", "of": "$of"}}},
        {"$sort": {"_id.of": 1}},
        {"$group": {"_id": "$_id.by", "result": {"$push": "$_id.of"}}},
    ]


def _result(aggregation: Aggregation, row: Mapping[str, Any]) -> Any:
    """The target's value from a row; an empty one where nothing matches."""
    if aggregation.kind == "bound":
        return {"m": row.get("m"), "M": row.get("M")}
    return row.get("result", 0 if aggregation.kind == "count" else [])


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_VARIABLE)


def _variables_in(value: object) -> Iterator[str]:
    """The names of all variables anywhere in a query, each as often as it stands there."""
    if isinstance(value, str) and _is_variable(value):
        yield value.removeprefix(_VARIABLE)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _variables_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables_in(inner)


def _filled(query: Any, known: Mapping[str, Any]) -> Any:
    """``query`` with the variables' values."""
    if isinstance(query, str) and _is_variable(query):
        return known[query.removeprefix(_VARIABLE)]
    if isinstance(query, Mapping):
        return {name: _filled(value, known) for name, value in query.items()}
    return [_filled(value, known) for value in query] if isinstance(query, list) else query


def _value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, not through arrays; ``_MISSING`` when there is none."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    return value


def _is_scalar(value: object) -> bool:
    """Whether a query for ``value`` finds it and nothing else; null finds missing fields too."""
    return value is not None and not isinstance(value, list | Mapping)


def _key(values: tuple[Any, ...]) -> Hashable:
    """Equal for values that the server calls equal, such as 1 and 1.0, but not 1 and true."""
    return tuple(map(_hashable, values))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    plain = isinstance(value, Hashable) and not isinstance(value, bool)
    return value if plain else encode({"": value})
