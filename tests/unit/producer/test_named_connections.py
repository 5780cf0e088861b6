"""An error about the wrong server names what a person typed for it: a flag or a setting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dataworks_tasks.errors import SpecRefused, UsageError
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.fingerprints import connection_setting
from dataworks_tasks.store import collection_guard
from dataworks_tasks.store.collection_facts import CollectionFacts
from dataworks_tasks.store.mongodb import MongoDBAtlasClient
from producer.start.separate_collections import check_still_separate

PAIR = NamespacePair(
    source=Namespace("shop", "orders"),
    target=Namespace("shop", "copy"),
    source_uuid="a",
    target_uuid="b",
)
NO_FLAGS = FrameworkConfig(broker_url="redis://localhost:1")
FLAGS = NO_FLAGS.typed(
    {"SOURCE_DB_CONNECTION_STRING": "--source", "TARGET_DB_CONNECTION_STRING": "--target"}
)


def migration(*, swapped: bool = False) -> RunSpec:
    return RunSpec(
        run_id="mig-1",
        created_at=datetime.now(UTC),
        batch_size=10,
        target_fingerprint="db:27017",
        job=MigrationJob(namespaces=(PAIR,), swapped=swapped),
    )


@pytest.mark.parametrize(
    ("config", "swapped", "source", "target"),
    [
        (FLAGS, False, "--source", "--target"),
        (FLAGS, True, "--target", "--source"),
        (
            NO_FLAGS,
            False,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING",
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
        ),
        (
            NO_FLAGS,
            True,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING",
        ),
    ],
)
def test_a_collection_of_another_server_names_the_connection(
    monkeypatch: pytest.MonkeyPatch,
    config: FrameworkConfig,
    swapped: bool,
    source: str,
    target: str,
) -> None:
    """A run that goes back reads its source by the settings of the target."""
    other = CollectionFacts("collection", "another", {})
    monkeypatch.setattr(collection_guard, "read_collection", lambda *_: other)
    monkeypatch.setattr(collection_guard, "name_of_collection", lambda *_: None)
    client = MongoDBAtlasClient(DatabaseConfig(connection_string="mongodb://localhost:1"))
    guards = RunGuards(migration(swapped=swapped), config, client, client)
    with pytest.raises(SpecRefused) as at_source:
        guards.source.check(PAIR.source, PAIR.source_uuid)
    with pytest.raises(SpecRefused) as at_target:
        guards.target.check(PAIR.target, PAIR.target_uuid)
    for raised, named in ((at_source, source), (at_target, target)):
        assert named in str(raised.value.remedy)
        assert ("FRAMEWORK_" in str(raised.value)) == named.startswith("FRAMEWORK_")


@pytest.mark.parametrize("config", [FLAGS, NO_FLAGS])
def test_a_target_that_has_become_a_source_names_the_connection(config: FrameworkConfig) -> None:
    now = PAIR.model_copy(update={"target_uuid": PAIR.source_uuid})
    named = connection_setting(migration(), "target", config)
    with pytest.raises(UsageError, match=f"Set {named} to"):
        check_still_separate([now], [PAIR], named)
