"""Build the missing indexes of a migration, after the cause was removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread
from typing import NamedTuple, Self

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.migrate.copy_indexes import IndexCopy, copy_indexes
from dataworks_tasks.migrate.index_notes import record_indexes
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from producer.connections import Connections

_SHOW_SECONDS = 1.0


class CopiedIndexes(NamedTuple):
    """The indexes of one collection."""

    pair: NamespacePair
    copy: IndexCopy


def check_indexes(connections: Connections, run_id: str) -> RunSpec:
    """Return the spec of a run whose indexes can be built now.

    Raises UsageError if the run is not a migration or is still being worked on.
    """
    spec = connections.ledger.spec(run_id)
    if not isinstance(spec.job, MigrationJob):
        raise UsageError(
            f"{run_id} is a {spec.kind}, and only a migration copies indexes",
            "List the runs with: dataworks runs",
        )
    state = connections.ledger.state(run_id)
    if state in WORKING:
        raise UsageError(
            f"{run_id} is {state}, and builds its indexes itself at the end",
            f"Wait for it: dataworks status {run_id} --watch",
        )
    connections.check_servers(spec)
    return spec


def build_indexes_again(
    connections: Connections, spec: RunSpec, show: Callable[[str], None]
) -> Iterator[CopiedIndexes]:
    """Build what the target lacks, collection by collection, and note on the run what is missing.

    ``show`` is called with a line about the progress, about once a second. The server continues an
    interrupted build; another call joins it.
    """
    job = spec.job
    assert isinstance(job, MigrationJob)
    done: list[CopiedIndexes] = []
    with ShownLease(show) as lease:
        for pair in job.namespaces:
            copy = copy_indexes(connections.source, connections.target, pair, lease)
            done.append(CopiedIndexes(pair, copy))
            yield done[-1]
    _record(connections, spec, done)


def _record(connections: Connections, spec: RunSpec, done: Sequence[CopiedIndexes]) -> None:
    record_indexes(connections.ledger, spec.run_id, [(item.pair, item.copy) for item in done])


class ShownLease:
    """A lease without a time limit, which passes progress to ``show``; a context manager."""

    position = ""
    reached = False

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._describe: Callable[[], str] | None = None
        self._over = Event()
        self._thread = Thread(target=self._run, name="show-indexes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def note(self, position: str) -> None:
        """Do nothing: there is no later turn that would need the position."""

    def show(self, describe: Callable[[], str]) -> None:
        """Pass ``describe``'s line to ``show`` every few seconds."""
        self._describe = describe

    def _run(self) -> None:
        while not self._over.wait(_SHOW_SECONDS):
            if self._describe is not None:
                self._show(self._describe())
