"""Commands in texts get the flags that they need, and no secret."""

from __future__ import annotations

import shlex

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.run_flags import RunFlags
from producer.cli.shared.connection_flags import ConnectionFlags
from producer.cli.shared.options import CommandContext
from producer.view.pasteable import pasteable, with_flags
from tests.unit.docs.reference_tables import commands

RUN = "mig-20261127-135222-0b35"
TYPED = RunFlags(profile="dev", target="mongodb://t/", broker="redis://r/1", workers="2")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"dataworks status {RUN} --watch", "dataworks status {} --profile dev --broker redis://r/1"
         " --watch"),
        (f"See: dataworks failures {RUN}; or", "See: dataworks failures {} --profile dev "
         "--broker redis://r/1; or"),
        (f"dataworks indexes {RUN}", "dataworks indexes {} --profile dev --broker redis://r/1 "
         "--target mongodb://t/"),
        (f"dataworks resume {RUN} --resync", "dataworks resume {} --profile dev "
         "--broker redis://r/1 --target mongodb://t/ --workers 2 --resync"),
        ("Start one: dataworks worker, or", "Start one: dataworks worker --profile dev "
         "--broker redis://r/1 --target mongodb://t/, or"),
        ("dataworks doctor says how", "dataworks doctor --profile dev --broker redis://r/1 "
         "--target mongodb://t/ says how"),
        ("dataworks local, dataworks templates show", "dataworks local, dataworks templates show"),
        ("dataworks worker-health", "dataworks worker-health"),
    ],
)  # fmt: skip
def test_each_command_gets_what_it_needs(text: str, shown: str) -> None:
    assert pasteable(text, TYPED) == shown.format(RUN)


def test_a_run_knows_the_flags_of_its_start() -> None:
    of_run = RunFlags(source="mongodb://s/", target="mongodb://old/", broker="redis://elsewhere/")
    now = RunFlags(target="mongodb://new/")
    assert with_flags(f"dataworks resume {RUN}", now, of_run) == (
        f"dataworks resume {RUN} --source mongodb://s/ --target mongodb://new/"
    )
    assert with_flags(f"dataworks status {RUN}", now, of_run) == f"dataworks status {RUN}"


def test_a_shell_reads_each_address_as_one_word() -> None:
    address = "mongodb://h/d?a=1&b=2;rm -rf"
    line = with_flags("dataworks worker", ConnectionFlags(target=address).public)
    assert shlex.split(line)[2:] == ["--target", address]


def test_a_secret_is_replaced_by_its_setting() -> None:
    typed = ConnectionFlags(target="mongodb://anna:s3cret@t/", broker="redis://r/1").public
    line = pasteable(f"Continue with: dataworks resume {RUN}", typed)
    assert line == (
        f"Continue with: dataworks resume {RUN} --broker redis://r/1. "
        "First set the address of --target, whose user name or password is not shown: "
        "export FRAMEWORK_TARGET_DB_CONNECTION_STRING=URI"
    )
    assert pasteable(f"dataworks status {RUN}", typed) == (
        f"dataworks status {RUN} --broker redis://r/1"
    ), "it needs no database"
    known = RunFlags(secret=("source",))
    assert "FRAMEWORK_SOURCE_DB" in pasteable("dataworks sync RUN", typed, known)
    now = RunFlags(source="mongodb://s/")
    assert "export" not in pasteable("dataworks sync RUN", now, known)


def test_an_error_names_a_command_that_works() -> None:
    error = UsageError("it is not complete", f"Finish it first: dataworks resume {RUN}")
    context = CommandContext(None, False, ConnectionFlags(broker="redis://r/1"), workers=3)
    assert context.pasteable(error.remedy).endswith(f"{RUN} --broker redis://r/1 --workers 3")


def test_every_command_that_connects_is_known() -> None:
    for name, command in commands():
        flags = with_flags(f"dataworks {name}", TYPED).partition(f"dataworks {name}")[2]
        given = {word.removeprefix("--") for word in flags.split() if word.startswith("--")}
        accepted = {one.name for one in command.params}
        assert given <= accepted, f"{name} does not take them"
        assert ("broker" in given) == ("broker" in accepted), name
        assert ("workers" in given) == (name in {"resume", "retry", "verify"}), name


@pytest.mark.parametrize("kept", ["{}", '{"secret": ["target", "x"], "next": 1, "target": ""}'])
def test_flags_of_other_versions_are_read(kept: str) -> None:
    assert RunFlags.from_json(kept).broker is None


def test_flags_survive_the_ledger() -> None:
    assert RunFlags.from_json(TYPED.to_json()) == TYPED
    secret = RunFlags(secret=("source", "broker"))
    assert RunFlags.from_json(secret.to_json()) == secret
