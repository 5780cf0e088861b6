"""Check that a run's collections are those that it started with."""

from __future__ import annotations

from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.fingerprints import other_server_remedy
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import CollectionGuard


class RunGuards:
    """The guards of both sides of a migration, or of its verification."""

    def __init__(
        self,
        spec: RunSpec,
        settings: FrameworkConfig,
        source: BaseDatabaseClient,
        target: BaseDatabaseClient,
    ) -> None:
        self.source = CollectionGuard(
            source, "source", spec.source_server, other_server_remedy(spec, "source", settings)
        )
        self.target = CollectionGuard(
            target, "target", spec.target_server, other_server_remedy(spec, "target", settings)
        )

    def check(self, pair: NamespacePair) -> None:
        """Raise RunFailed or SpecRefused when one of the two is another collection."""
        self.source.check(pair.source, pair.source_uuid)
        self.target.check(pair.target, pair.target_uuid)

    def check_all(self, job: MigrationJob) -> None:
        """Check every collection of the job."""
        for pair in job.namespaces:
            self.check(pair)
