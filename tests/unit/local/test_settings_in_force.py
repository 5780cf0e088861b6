"""What `dataworks local` hands to its workers, and what it prints for commands elsewhere."""

from __future__ import annotations

from dataworks_tasks.settings import FrameworkConfig
from producer.local.environment import LocalAddresses, SettingsInForce

REDIS, MONGOD = "redis://127.0.0.1:29999/0", "mongodb://127.0.0.1:29998/"
HIDDEN = "mongodb://user:hidden@db.example/"
LOCAL = LocalAddresses(REDIS, MONGOD)


def _config(**settings: object) -> FrameworkConfig:
    sides = {name: {"connection_string": MONGOD} for name in ("source", "target")}
    return FrameworkConfig.model_validate({"broker_url": REDIS, **sides, **settings})


def test_local_addresses_are_for_workers_and_others() -> None:
    found = SettingsInForce.of(LOCAL, _config(), None)
    assert found.environment == found.elsewhere
    assert found.environment == {
        "FRAMEWORK_BROKER_URL": REDIS,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": MONGOD,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": MONGOD,
    }
    assert found.set_here == ()


def test_an_address_that_is_set_here_is_named_and_not_shown() -> None:
    config = _config(target={"connection_string": HIDDEN}, ledger_url="redis://:hidden@b.example")
    found = SettingsInForce.of(LOCAL, config, None)
    names = ["FRAMEWORK_BROKER_URL", "FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    assert list(found.environment) == list(found.elsewhere) == names
    assert found.set_here == ("FRAMEWORK_LEDGER_URL", "FRAMEWORK_TARGET_DB_CONNECTION_STRING")
    assert "hidden" not in repr(found) + "".join(found.lines)


def test_others_need_the_queue_and_workers_need_the_profile() -> None:
    found = SettingsInForce.of(LOCAL, _config(queue="mine"), "data-migration")
    assert "export FRAMEWORK_QUEUE=mine" in found.lines
    assert found.environment["FRAMEWORK_PROFILE"] == "data-migration"
    assert "FRAMEWORK_PROFILE" not in found.elsewhere
