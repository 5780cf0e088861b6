"""Runs for fault tests, and the comparison that ends each: every document, byte for byte."""

from __future__ import annotations

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.templates.load_template import document_source, load_template
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.namespace import Namespace
from tests.fleet import Fleet

SEED = 42


def expected_documents(total: int, template: str = "service_order") -> list[bytes]:
    """Every document that a generation run should have written, sorted."""
    source = document_source(load_template(template), 0, SEED)
    found: list[bytes] = []
    for start in range(0, total, 5000):
        found += source.generate(start, min(total, start + 5000)).documents()
    return sorted(found)


def generate_arguments(
    fleet: Fleet, total: int, *more: object, collection: str = "orders", batch_size: int = 1000
) -> tuple[object, ...]:
    """Return a generation run into a collection of the fleet's database."""
    where = ("--database", fleet.database, "--collection", collection, "--seed", SEED)
    return (
        *("generate", "service_order", "--total", total),
        *where,
        *("--batch-size", batch_size, *more),
    )


def fill_source(fleet: Fleet, total: int) -> None:
    """Put documents into ``source`` without a run."""
    from pydantic import SecretStr

    from dataworks_tasks.settings.database import DatabaseConfig
    from dataworks_tasks.store.create_client import create_database_client

    batch = EncodedBatch.of(expected_documents(total))
    url = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    with create_database_client(DatabaseConfig(connection_string=SecretStr(url))) as client:
        for piece in batch.split(10_000, 16 * 1024 * 1024):
            outcome = client.insert(Namespace(fleet.database, "source"), piece, "1")
            assert outcome.written == len(piece), outcome


def migrate_arguments(
    fleet: Fleet, *more: object, collection: str = "copy", batch_size: int = 500
) -> tuple[object, ...]:
    """Return a migration of ``source``."""
    names = ("--include", f"{fleet.database}.source", "--to", f"{fleet.database}.{collection}")
    return ("migrate", *names, "--batch-size", batch_size, *more)


def check_exact(fleet: Fleet, run_id: str, total: int, collection: str = "orders") -> None:
    """Check that the collection, its ids and the counters are exactly the generation run's."""
    assert fleet.raw_documents(collection) == expected_documents(total)
    progress = fleet.ledger.progress(run_id)
    assert progress.state is RunState.COMPLETE
    assert (progress.acknowledged, progress.gaps) == (total, 0)
    assert progress.counters["documents"] == total


def check_copied(fleet: Fleet, run_id: str, collection: str = "copy") -> None:
    """Check that the copy equals the source byte for byte, and that the counters say so."""
    source = fleet.raw_documents("source")
    assert fleet.raw_documents(collection) == source
    progress = fleet.ledger.progress(run_id)
    assert progress.state is RunState.COMPLETE
    assert (progress.acknowledged, progress.gaps) == (progress.total, 0)
    assert progress.counters["documents"] == len(source)
