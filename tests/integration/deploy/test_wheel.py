"""What the image is built from suffices to build the wheel, and the wheel alone suffices to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dataworks_tasks.version import __version__
from producer.cli import COMMANDS
from producer.local.binaries import MONGOD, VALKEY, find_binary
from tests.integration.deploy.plain_install import PlainInstall
from tests.support.json_output import check_output
from tests.unit.deploy.compose_file import ROOT

pytestmark = pytest.mark.timeout(300)  # an installation from a package index is a part of it

CONTEXT = ["pyproject.toml", "requirements.lock", "README.md", "LICENSE"]
FOLDERS = ["dataworks_tasks", "producer", "profiles", "docs/questions"]
SHOWN = [
    "doctor",
    "help",
    "generators",
    "strategies",
    "profiles",
    "templates",
    "runs",
    "worker-health",
    "kubernetes-secret",
]
ORDERS = ["--database", "shop", "--collection", "orders"]
WORKER = ["worker", "--processes", "1"]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the image is built from."""
    folder = tmp_path_factory.mktemp("context")
    for name in CONTEXT:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", folder, context], cwd=folder, check=True, timeout=100)
    [built] = folder.glob("dataworks-*.whl")
    return built


@pytest.fixture(scope="module")
def plain(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, stores_available: None
) -> PlainInstall:
    """Return the wheel in an environment of its own; the servers are programs of this machine."""
    servers = {
        program.variable: str(find_binary(program, os.environ).path) for program in (VALKEY, MONGOD)
    }
    folder = tmp_path_factory.mktemp("plain")
    return PlainInstall.make(wheel, ROOT / "constraints.txt", folder, servers)


def test_a_wheel_from_the_build_context_is_complete(context: Path, wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(context))
        for name in ("dataworks_tasks", "producer")
        for path in (context / name).rglob("*")
        if path.is_file()
    }
    assert expected <= held
    assert "dataworks_tasks/py.typed" in held
    for profile in (ROOT / "profiles").glob("*.env"):
        assert f"dataworks_tasks/profiles/{profile.name}" in held
    for page in (ROOT / "docs/questions").glob("*.md"):
        assert f"producer/questions/{page.name}" in held
    folders = {name.split("/")[0] for name in held}
    assert folders == {"dataworks_tasks", "producer", f"dataworks-{__version__}.dist-info"}
    assert not [name for name in held if "tests/" in name or ".env_local" in name]


def test_a_plain_install_imports_every_module(plain: PlainInstall) -> None:
    program = (
        "import importlib, pkgutil, producer, dataworks_tasks\n"
        "for package in (producer, dataworks_tasks):\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'{package.__name__}.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
    )
    done = plain.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    outside = plain.run("python", "-c", "import producer; print(producer.__file__)").stdout
    assert outside.startswith(str(plain.environment_folder))


@pytest.mark.situation(
    1,
    "`pip install .` in a fresh environment, then a command, a worker or a run",
    before="`ModuleNotFoundError: packaging`",
    now="every command, a worker and a run work from the wheel alone",
)
def test_every_command_of_a_plain_install_works(plain: PlainInstall) -> None:
    used = {"local", "metrics", "demo", "generate", "migrate", "verify", "status", "failures"}
    used |= {
        "plan",
        "pause",
        "resume",
        "cancel",
        "retry",
        "web",
        "report",
        "indexes",
        "cutover",
        "worker",
        "completion",
        "rate",
        "sync",
        *SHOWN,
    }
    assert used == COMMANDS.keys()
    assert plain.json("plan", "service_order", "--total", "1M")["documents"] == 1_000_000
    with plain.serving("Ctrl-C stops", "dataworks", "local", "--workers", "1", "--json") as log:
        first, *_ = log.read_text().splitlines()
        [services] = check_output(["local"], first)
        with plain.serving(" ready.", "dataworks", *WORKER, **services["settings"]):
            for name in SHOWN:
                done = plain.run("dataworks", name)
                assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        _run_and_look(plain)
        _interrupt(plain)
        with plain.serving("/metrics", "dataworks", "metrics", "--port", "0"):
            pass
        page = ("web", "--listen", "127.0.0.1:0", "--json")
        with plain.serving('"url"', "dataworks", *page) as web_log:
            check_output(["web"], web_log.read_text().splitlines()[0])


def _run_and_look(plain: PlainInstall) -> None:
    made = plain.json("generate", "service_order", "--total", "2000", *ORDERS)
    assert (made["state"], made["documents"]) == ("complete", 2000)
    assert plain.json("status", made["run"])["gaps"] == 0
    assert plain.json("verify", made["run"])["documents"] == 2000
    copied = plain.json("migrate", "--include", "shop.orders", "--to", "archive.orders")
    assert (copied["state"], copied["documents"]) == ("complete", 2000)
    assert plain.run("dataworks", "failures", copied["run"]).returncode == 0
    assert plain.run("dataworks", "indexes", copied["run"]).returncode == 0
    reported = plain.json("report", copied["run"])
    assert reported["verdict"].startswith("The run is complete: 2,000 documents")
    assert "has no failures" in plain.run("dataworks", "retry", copied["run"]).stderr
    following = plain.run("dataworks", "sync", copied["run"]).stdout
    assert "dataworks cutover mig-" in following
    plain.json("cancel", following.partition("dataworks cutover ")[2].split()[0])


def _interrupt(plain: PlainInstall) -> None:
    endless = ("generate", "sensors", "--total", "100k", "--max-rate", "100", "--detach")
    run_id = plain.json(*endless, "--database", "shop")["run"]
    plain.json("rate", run_id, "--max-rate", "200")
    assert plain.json("pause", run_id)["state"] == "paused"
    plain.json("resume", run_id, "--detach")
    assert plain.json("cancel", run_id)["state"] == "cancelled"


@pytest.mark.situation(
    1,
    "`dataworks demo` of a plain install",
    before="`ModuleNotFoundError: packaging`",
    now="it ends with everything equal, exit 0",
)
def test_the_demo_of_a_plain_install_ends_equal(plain: PlainInstall) -> None:
    done = plain.run("dataworks", "demo", "--total", "2000", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count(" equal") == 2
    assert [run["equal"] for run in check_output(["demo"], done.stdout)] == [True, True]
