"""Help texts and ``status`` import no driver and no numpy: they have to be instant."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.templates.template_source import TemplateSource
from dataworks_tasks.settings import FrameworkConfig
from producer.cli import COMMANDS
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import plan_generation

HEAVY = frozenset(
    {
        "asyncio",
        "bson",
        "celery",
        "dotenv",
        "faker",
        "kombu",
        "numpy",
        "prometheus_client",
        "pydantic",
        "pymongo",
        "redis",
        "rich",
        "ssl",
        "tornado",
    }
)
_HELP = """
import contextlib, io, json, sys
from producer.cli import cli
found = {}
for name in json.loads(sys.argv[1]):
    before = set(sys.modules)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        cli.main([*name.split(), "--help"], standalone_mode=False)
    found[name] = [text.getvalue(), sorted(set(sys.modules) - before)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, list[str]]]:
    """Each command's help text, and the modules that it imported, of one process."""
    done = subprocess.run(
        [sys.executable, "-c", _HELP, json.dumps(["", *COMMANDS])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_help_text_imports_nothing_heavy(
    helps: dict[str, tuple[str, list[str]]], name: str
) -> None:
    text, imported = helps[name]
    assert text.startswith("Usage: ")
    assert not HEAVY & {module.partition(".")[0] for module in imported}


_LEDGER_ONLY = (
    "dataworks_tasks.ledger.connect",
    "dataworks_tasks.monitor.standstill",
    "producer.cli.shared.run_outcome",
    "producer.cli.status",
    "producer.connections",
    "dataworks_tasks.ledger.run_limits",
    "producer.view.live_snapshot",
    "producer.view.remaining_time",
    "producer.view.render",
    "producer.view.run_summary",
)
"""What ``status`` imports."""
_NOT_OF_THE_LEDGER = HEAVY & {"bson", "celery", "faker", "kombu", "numpy", "pymongo", "tornado"}


def test_a_command_that_reads_the_ledger_only_imports_no_driver() -> None:
    code = f"import json, sys, {', '.join(_LEDGER_ONLY)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not _NOT_OF_THE_LEDGER & set(json.loads(done.stdout))


_AFTER_THE_START = {
    "dataworks_tasks.celery_app",
    "dataworks_tasks.driver_step",
    "dataworks_tasks.migrate.copy_indexes",
    "producer.cli.shared.run_outcome",
}
"""What workers use, and what builds indexes and sums up: later, or never, in a command."""


def test_a_command_starts_its_run_before_it_imports_what_draws() -> None:
    """And it knows the names of a run's steps without what the steps do."""
    modules = (
        "producer.cli.shared.run_to_end, producer.drive.attach, producer.start.start_generation, "
        "producer.resume.named_run, producer.resume.spec_file, producer.view.plain_view"
    )
    code = f"import json, sys, {modules}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    imported = set(json.loads(done.stdout))
    assert "rich" not in imported
    assert not {name for name in imported if name.startswith("dataworks_tasks.sync.")}
    assert not _AFTER_THE_START & imported


_PLANNED = """
import sys
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import plan_generation
config = FrameworkConfig()
plan_generation(GenerationRequest("service_order", 10), config)
early = {"celery", "kombu", "faker.providers.internet"} & set(sys.modules)
connections = Connections(config)
connections.begin_imports()
connections.finish_imports()
from producer.drive.attach import attach
print(early, "celery.app.base" in sys.modules, "kombu.transport.redis" in sys.modules)
"""


def test_celery_is_imported_while_servers_answer_and_not_before() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PLANNED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set() True True\n"


_ENDS = """
import atexit, os, sys
import producer.cli as command_line
atexit.register(lambda: print("closed with", os.environ["OPENBLAS_NUM_THREADS"], "BLAS thread"))
class Left:
    def __del__(self):
        print("dismantled")
command_line.left = Left()
sys.argv = ["dataworks", *sys.argv[1:]]
command_line.main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["profiles", "--help"], 0, "Usage"),
        (["no-such"], 2, "error: there is no command"),
        (["profiles", "--no-such"], 2, "No such option"),
    ],
)
def test_a_command_ends_without_taking_its_imports_apart(
    arguments: list[str], code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDS, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert done.stdout.endswith("closed with 1 BLAS thread\n")


def test_each_document_that_is_tried_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = TemplateSource._chunk

    def counted(source: TemplateSource, indexes: NDArray[np.uint64]) -> EncodedBatch:
        made.extend(indexes.tolist())
        return make(source, indexes)

    monkeypatch.setattr(TemplateSource, "_chunk", counted)
    plan_generation(GenerationRequest("service_order", 1_000), FrameworkConfig())
    assert made == [0, 200, 400, 600, 800]
