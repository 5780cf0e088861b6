"""Collections, views and names that will differ at the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import CollectionFacts, read_collection
from producer.estimate.concern import Concern
from producer.start.check_names import name_problems
from producer.start.namespace_selection import NamespaceSelection

_SERVERS_OWN = frozenset({"uuid", "autoIndexId", "temp"})


@dataclass(frozen=True, slots=True)
class CollectionPair:
    """A collection on both sides, as the servers describe it; None if it does not exist."""

    pair: NamespacePair
    source: CollectionFacts | None
    target: CollectionFacts | None

    @property
    def source_options(self) -> Mapping[str, Any]:
        """The options at the source."""
        return _options(self.source)

    @property
    def target_options(self) -> Mapping[str, Any]:
        """The options at the target."""
        return _options(self.target)


def read_pair(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair
) -> CollectionPair:
    """Read a collection from both servers; for a time series the series itself, not its buckets."""
    return CollectionPair(
        pair,
        read_collection(source, series_of_buckets(pair.source)),
        read_collection(target, series_of_buckets(pair.target)),
    )


def selection_concerns(
    target: BaseDatabaseClient, selection: NamespaceSelection, *, views: bool
) -> Iterator[Concern]:
    """Yield the views and system collections that are left out."""
    has_views = target.capabilities.collection_stats
    for view in selection.views:
        if not has_views:
            yield Concern(
                f"the view {view.source}",
                "the target does not support views",
                "Run the view's pipeline in your own queries",
            )
        elif not views:
            yield Concern(
                f"the view {view.source}",
                "a view has no documents of its own",
                "Add --views to create it at the target",
            )
    for namespace in selection.system:
        own = namespace.collection.removeprefix("system.")
        if own != "views" and not own.startswith("buckets."):
            yield Concern(
                str(namespace), "it belongs to the server", "Nothing to do: the target has its own"
            )


def option_concerns(
    found: CollectionPair, target: BaseDatabaseClient, *, drop: bool
) -> Iterator[Concern]:
    """Yield the options of a collection that the target's will not have."""
    name = str(series_of_buckets(found.pair.source))
    options = {key: value for key, value in found.source_options.items() if key not in _SERVERS_OWN}
    if not target.capabilities.collection_stats:
        if options:
            yield Concern(
                f"{', '.join(sorted(options))} of {name}",
                "the target's dialect has no such options",
                "Create the collection yourself with equivalent options, or do without them",
            )
        return
    if "storageEngine" in options:
        yield Concern(
            f"storageEngine of {name}",
            "it configures the source's own disk format",
            "Create the collection at the target with options of its own",
        )
    if found.target is None or drop:
        return
    there = found.target_options
    ignored = {"storageEngine", "validator", "validationLevel", "validationAction"}
    differing = sorted(
        key
        for key in (options.keys() | there.keys()) - ignored - _SERVERS_OWN
        if options.get(key) != there.get(key)
    )
    if differing:
        yield Concern(
            f"{', '.join(differing)} of {name}",
            f"{series_of_buckets(found.pair.target)} already exists with other options, "
            "and is used unchanged",
            "Add --drop to create it with the source's options",
        )


def name_concerns(target: BaseDatabaseClient, pairs: Sequence[NamespacePair]) -> Iterator[Concern]:
    """Yield the names that the target or its driver refuses."""
    for problem in name_problems(target, pairs):
        unreadable = None if problem.readable else problem.pair.source
        yield Concern(
            str(problem.namespace),
            problem.reason,
            problem.remedy,
            refused=True,
            namespace=unreadable,
        )


def _options(facts: CollectionFacts | None) -> Mapping[str, Any]:
    return facts.options if facts is not None else {}
