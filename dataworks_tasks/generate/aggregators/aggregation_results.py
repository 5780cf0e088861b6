"""What a target field becomes for each of the different values of the variables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from bson import encode
from bson.decimal128 import Decimal128

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.generate.aggregators.aggregation_pipeline import (
    joined_stages,
    result_of,
    single_stages,
)
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.retrying import retry_transient


def results_of(
    client: BaseDatabaseClient,
    aggregation: Aggregation,
    wanted: Mapping[Hashable, tuple[Any, ...]],
) -> dict[Hashable, Any]:
    """Return the target's value for each distinct combination of variables."""
    results: dict[Hashable, Any] = {}
    if aggregation.joined_by is not None:
        # One query per batch, not one per value: without an index, each query reads the complete
        # source.
        together = [values for values in wanted.values() if _is_scalar(values[0])]
        results = {key_of_values(values): result_of(aggregation, {}) for values in together}
        for row in _rows(client, aggregation, joined_stages(aggregation, [v for (v,) in together])):
            if _is_scalar(row["_id"]):  # not [1] in an array of arrays, in which a query sees 1
                results[key_of_values((row["_id"],))] = result_of(aggregation, row)
    for key, values in wanted.items():
        if key not in results:
            known = dict(zip(aggregation.variables, values, strict=True))
            stages = single_stages(aggregation, known)
            row = next(iter(_rows(client, aggregation, stages)), {})
            results[key] = result_of(aggregation, row)
    return results


def _rows(
    client: BaseDatabaseClient, aggregation: Aggregation, stages: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    source = aggregation.source

    def ask() -> list[dict[str, Any]]:
        # No timeout: however large the source is, only a few rows come over the wire.
        database = client.without_timeout.get_database(source.database, codec_options=TOLERANT)
        with classified():
            return list(database[source.collection].aggregate(stages, allowDiskUse=True))

    return retry_transient(ask)


def _is_scalar(value: object) -> bool:
    """Whether a query for ``value`` finds it and nothing else; null finds missing fields too."""
    return value is not None and not isinstance(value, list | Mapping)


def key_of_values(values: tuple[Any, ...]) -> Hashable:
    """Equal for values that the server calls equal, such as 1 and 1.0, but not 1 and true."""
    return tuple(map(_hashable, values))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    plain = isinstance(value, Hashable) and not isinstance(value, bool)
    return value if plain else encode({"": value})
