"""The ledger's keys. The run id in braces keeps all keys of a run in one Redis Cluster slot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RUNS = "dataworks:runs"
"""Sorted set of run ids by creation time."""

SLICES_PER_KEY = 100
"""Slices kept in one hash: few enough for Redis' compact encoding."""


WORKERS = "dataworks:workers"
"""Hash: the workers that are alive, by the id that each draws."""

NAMES = "dataworks:names"
"""Hash: the names that people gave to runs, with their ids."""

TARGETS = "dataworks:targets"
"""Hash: the collections that runs write into, with the runs' ids."""

INDEX_SPEEDS = "dataworks:index-speeds"
"""Hash: how long index builds took on a target, and how long they were expected to take."""


def due_key(queue: str) -> str:
    """Sorted set of ``RUN STEP`` by the time when a worker of the queue takes care of it."""
    return f"dataworks:due:{queue}"


def due_members(run_id: str, steps: Iterable[str]) -> list[str]:
    """Return the members of ``due_key`` for the steps of a run."""
    return [f"{run_id} {step}" for step in steps]


def turns_key(queue: str) -> str:
    """Sorted set of the queue's runs that want processes, by how long they have wanted them."""
    return f"dataworks:turns:{queue}"


def wanted_keys(queue: str) -> list[str]:
    """Hash of the processes that each run could use, and a list as long as their sum."""
    return [f"dataworks:wanted-by:{queue}", f"dataworks:wanted:{queue}"]


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of one run."""

    run_id: str

    def _key(self, name: str) -> str:
        return f"dataworks:{{{self.run_id}}}:{name}"

    @property
    def spec(self) -> str:
        """String: the run spec as JSON."""
        return self._key("spec")

    @property
    def record(self) -> str:
        """Hash: state, total, planned, times, last error."""
        return self._key("record")

    @property
    def acknowledged(self) -> str:
        """Sorted set: disjoint ranges ``start:stop`` scored by start."""
        return self._key("acknowledged")

    @property
    def counters(self) -> str:
        """Hash: documents, bytes and the other totals of the acknowledged ranges."""
        return self._key("counters")

    @property
    def failures(self) -> str:
        """Hash: documents that could not be written."""
        return self._key("failures")

    @property
    def failed_ranges(self) -> str:
        """Hash: acknowledged ranges that hold failures, with what ``retry`` needs."""
        return self._key("failed_ranges")

    @property
    def parts(self) -> str:
        """Hash: the counts of slices that are partly completed."""
        return self._key("parts")

    @property
    def attempts(self) -> str:
        """Hash: how often a range was tried without success, and how many workers died with it."""
        return self._key("attempts")

    @property
    def window(self) -> str:
        """Hash: up to where messages are sent, and how many are waiting."""
        return self._key("window")

    @property
    def hands(self) -> str:
        """Hash: the ranges that workers hold."""
        return self._key("hands")

    @property
    def rests(self) -> str:
        """Sorted set: ranges to be sent again, by the time to send them."""
        return self._key("rests")

    @property
    def finish_sent(self) -> str:
        """String that expires: a worker was just asked to finish the run."""
        return self._key("finish_sent")

    @property
    def steps(self) -> str:
        """Hash: the leases of the driver's steps."""
        return self._key("steps")

    @property
    def workers(self) -> str:
        """Hash: each worker process' last report."""
        return self._key("workers")

    @property
    def budget(self) -> str:
        """Hash: the token buckets that the fleet shares."""
        return self._key("budget")

    @property
    def history(self) -> str:
        """List: samples of the counters over time."""
        return self._key("history")

    @property
    def events(self) -> str:
        """List: what people did to the run, as JSON."""
        return self._key("events")

    @property
    def notes(self) -> str:
        """Hash: what a person has to know about the run, by topic."""
        return self._key("notes")

    @property
    def collections(self) -> str:
        """Hash: what the databases held of each collection when the run ended, as JSON."""
        return self._key("collections")

    @property
    def slice_collections(self) -> str:
        """String: two bytes for each planned slice, the number of its collection."""
        return self._key("slice_collections")

    @property
    def all(self) -> list[str]:
        """Every key but the slices and the record."""
        names = ("spec", "acknowledged", "counters", "failures", "failed_ranges", "parts")
        more = (
            "attempts",
            "window",
            "hands",
            "rests",
            "notes",
            "collections",
            "slice_collections",
            "history",
            "events",
            "finish_sent",
            "steps",
            "workers",
            "budget",
            "claims",
            "hot",
            "deferred",
        )
        return [self._key(name) for name in (*names, *more)]

    @property
    def claims(self) -> str:
        """Hash: who holds which slice or key window until when, and how often it was claimed."""
        return self._key("claims")

    @property
    def hot(self) -> str:
        """Hash: keys that changed while they were reconciled, with their collection pair."""
        return self._key("hot")

    @property
    def deferred(self) -> str:
        """Sorted set: windows to reconcile again, by the time when no late write can arrive."""
        return self._key("deferred")

    @property
    def slice_prefix(self) -> str:
        """The prefix of the names of the hashes of slices."""
        return self._key("slices:")

    def slices(self, number: int) -> str:
        """Hash: the slices around ``number`` that are not acknowledged."""
        return self._key(f"slices:{number // SLICES_PER_KEY}")
