"""A rebuilt ledger holds what was compared, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from dataworks_tasks.scan import slice_pool
from producer.resume.rebuild import _acknowledge_again
from tests.integration.migrate.conftest import Migration

if TYPE_CHECKING:
    from producer.connections import Connections


class _Connections:
    """What rebuilding needs of the producer's connections."""

    def __init__(self, migration: Migration) -> None:
        self.config = migration.config
        self.source, self.target = migration.source, migration.target


@pytest.mark.parametrize("missing", [0, 700, 1399])
def test_a_part_of_a_slice_does_not_acknowledge_the_rest(
    migration: Migration, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    monkeypatch.setattr(slice_pool, "_PART_SECONDS", 0.0)
    monkeypatch.setattr(slice_pool, "_LOOK_SECONDS", 0.0)
    migration.batch_size = 10_000
    migration.spec_changes = {"source_fingerprint": "-"}
    changes = {"source_db_batch_size": 10, "parallel_cursors": 1}
    migration.config = migration.config.model_copy(update=changes)
    database = migration.source.database(migration.database)
    documents = [{"_id": number} for number in range(1400)]
    database.source.insert_many(documents)
    database.target.insert_many(document for document in documents if document["_id"] != missing)
    context = migration.context(migration.job())
    connections = _Connections(migration)
    connections.ledger = context.ledger  # type: ignore[attr-defined]
    counted = sum(_acknowledge_again(cast("Connections", connections), context.spec))
    assert list(context.ledger.gaps(context.spec.run_id))
    progress = context.ledger.progress(context.spec.run_id)
    assert progress.counters.get("documents", 0) == counted <= missing
