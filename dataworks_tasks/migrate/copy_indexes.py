"""Build the source's indexes at the target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataworks_tasks.errors import RightMissing, TerminalError
from dataworks_tasks.migrate.index_definition import (
    index_to_create,
    left_out,
    same_index,
    shown_differences,
)
from dataworks_tasks.migrate.read_indexes import in_order_of_building, read_indexes
from dataworks_tasks.runs.lease import FinishLease, UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.build_index import build_indexes
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection


@dataclass(frozen=True, slots=True)
class RefusedIndex:
    """An index that the target does not have, and why."""

    namespace: Namespace
    name: str
    reason: str

    def __str__(self) -> str:
        return f"the index {self.name} was not built: {self.reason}"


@dataclass(slots=True)
class IndexCopy:
    """The outcome for one collection. ``complete``: every index was tried.

    ``unknown``: options that were left out, by the name of the index, because no server knows them.
    ``seconds``: how long the server took, by the name of each index that this process started.
    """

    built: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    refused: list[RefusedIndex] = field(default_factory=list)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    complete: bool = True


def copy_indexes(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    pair: NamespacePair,
    lease: FinishLease | None = None,
    refused: Collection[RefusedIndex] = (),
    wanted: Callable[[Mapping[str, Any]], bool] = lambda _index: True,
) -> IndexCopy:
    """Build the source's indexes at the target, unique ones first; every one is tried.

    An index that the target has already, under this or another name, stays. One that cannot be
    built is in the result with the reason: the server's, with the offending key if a unique index
    meets duplicates, or that the target has another index of that name. Those in ``refused`` were
    tried before and are left out; ``wanted``: which of the others to build. The result is not
    complete if ``lease`` ends first; the server continues what it is building.
    """
    lease = lease or UnlimitedLease()
    copy = IndexCopy()
    builder = _Builder(target, pair.target, lease)
    known = {item.name for item in refused if item.namespace == pair.target}
    indexes = [index for index in read_indexes(source, pair.source) if index["name"] not in known]
    chosen = in_order_of_building(filter(wanted, indexes))
    for number, index in enumerate(chosen, 1):
        if lease.reached or not builder.build(index, copy, (number, len(chosen))):
            copy.complete = False
        if not copy.complete:
            break
    return copy


class _Builder:
    """Builds indexes of one collection at the target."""

    def __init__(
        self, target: BaseDatabaseClient, namespace: Namespace, lease: FinishLease
    ) -> None:
        self._target, self._namespace, self._lease = target, namespace, lease
        self._present = read_indexes(target, namespace)
        self._only_while_empty = target.capabilities.unique_indexes_while_empty
        self._has_collation = "collation" in (_options(target, namespace) or {})

    def build(self, index: dict[str, Any], copy: IndexCopy, ordinal: tuple[int, int]) -> bool:
        """Build the index unless the target has it; False if the lease ends first.

        ``ordinal``: its number, and how many there are.
        """
        name = str(index["name"])
        there = self._same(index)
        namesake = next((other for other in self._present if other["name"] == name), None)
        if there is None and namesake is not None:
            differing = shown_differences(index, namesake)
            reason = f"{self._namespace} has another index of that name ({differing})"
            copy.refused.append(RefusedIndex(self._namespace, name, reason))
            return True
        if there is not None and there.get("unique") and self._only_while_empty:
            copy.present.append(name)  # a second request would be refused: documents exist
            return True
        # An index that is still being built is listed like any other: requesting it joins the
        # build.
        wanted = index_to_create(there or index, target_has_collation=self._has_collation)
        try:
            found = build_indexes(self._target, self._namespace, [wanted], self._lease, ordinal)
        except (TerminalError, RightMissing) as error:
            # The server's text begins with its build and the collection, which the reader knows.
            reason = error.fact.rpartition(" :: caused by :: ")[2]
            copy.refused.append(RefusedIndex(self._namespace, name, reason))
            return True
        if not found.complete:
            return False
        if found.seconds is not None:
            copy.seconds[name] = found.seconds
        (copy.built if there is None else copy.present).append(name)
        if there is None:
            self._present.append(wanted)
        if unknown := left_out(index):
            copy.unknown[name] = unknown
        return True

    def _same(self, index: dict[str, Any]) -> dict[str, Any] | None:
        """Return the target's equal index, preferably the one with the same name."""
        same = [other for other in self._present if same_index(index, other)]
        same.sort(key=lambda other: other["name"] != index["name"])
        return same[0] if same else None


def _options(target: BaseDatabaseClient, namespace: Namespace) -> Mapping[str, Any] | None:
    if not target.capabilities.collection_stats:
        return None
    found = read_collection(target, namespace)
    return found.options if found else None
