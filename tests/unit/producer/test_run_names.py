"""What people read of the collections of a run."""

from __future__ import annotations

from datetime import UTC, datetime

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from producer.report.describe import described_spec
from producer.view.run_summary import shown_name


def test_a_time_series_has_its_own_name_and_not_that_of_its_buckets() -> None:
    pair = NamespacePair(
        source=Namespace("shop", "system.buckets.readings"),
        target=Namespace("copy", "system.buckets.readings"),
    )
    spec = RunSpec(
        run_id="mig-20261126-120000-0001",
        created_at=datetime.now(UTC),
        batch_size=10,
        source_fingerprint="db:1",
        target_fingerprint="db:2",
        job=MigrationJob(namespaces=(pair,)),
    )
    assert shown_name(spec) == "shop.readings -> copy.readings"
    assert dict(described_spec(spec))["collections"] == "shop.readings to copy.readings"
