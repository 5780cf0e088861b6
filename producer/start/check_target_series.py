"""Refuse to copy a time series into one whose buckets mean something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.runs.namespace import BUCKETS, Namespace, series_of_buckets
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_FIELDS = frozenset({"timeField", "metaField"})


def check_target_series(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pairs: Sequence[NamespacePair]
) -> None:
    """Raise UsageError when a time series exists at the target with other options.

    Its server reads the copied buckets by its own options: with another field it shows other
    documents or none, and with a shorter span a query by time misses some.
    """
    for pair in pairs:
        if not pair.source.collection.startswith(BUCKETS):
            continue
        here, there = _series(source, pair.source), _series(target, pair.target)
        # A newer server has options that an older one does not know.
        compared = _FIELDS | (here.keys() & there.keys())
        differing = sorted(name for name in compared if here.get(name) != there.get(name))
        if there and differing:
            raise UsageError(
                f"{series_of_buckets(pair.target)} exists with another {' and '.join(differing)} "
                f"than {series_of_buckets(pair.source)}, and the target could not read the copied "
                "measurements correctly",
                "Give it another name with --map, or add --drop to create it like its source",
            )


def _series(client: BaseDatabaseClient, buckets: Namespace) -> Mapping[str, Any]:
    options = read_options(client, series_of_buckets(buckets)) or {}
    found: Mapping[str, Any] = options.get("timeseries", {})
    return found
