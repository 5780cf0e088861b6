"""Imports run downward, between the layers of each package, and in no circle."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.source_files import read_source

ROOT = Path(__file__).parent.parent.parent
WORKERS = """
    __init__
    tasks
    celery_app
    worker
    drive
    verify sync slicing
    generate migrate
    range_work scan driver_step
    rate_limits monitor broker unexpected
    store ledger logs
    settings
    runs plugins
    documents errors failpoints backoff numerals version
"""
"""The rooms of ``dataworks_tasks``, one layer a line: a room imports only rooms of lower lines."""
PRODUCER = """
    __main__ __init__
    cli api
    web
    cutover
    document_output estimate kubernetes_secret resume report
    view
    doctor
    drive start
    connections sampling
    local
    cosmos_simulator state_folder unfinished_file address_settings
"""
LAYERS = {"dataworks_tasks": WORKERS, "producer": PRODUCER}
ENTRY_POINTS = frozenset({"command", "main"})
"""The functions of files in ``cli/``, and of programs."""
Imports = Mapping[str, set[str]]


def imports_of(root: Path) -> dict[str, set[str]]:
    """Which of the modules under ``root`` each of them imports."""
    paths = {
        ".".join(path.relative_to(root).with_suffix("").parts): path
        for package in LAYERS
        for path in (root / package).rglob("*.py")
    }
    return {
        module: {found for name in read_source(path).imports if (found := _module(name, paths))}
        - {module}
        for module, path in paths.items()
    }


def _module(name: str, modules: Mapping[str, object]) -> str | None:
    parent = name.rpartition(".")[0]
    candidates = (name, f"{name}.__init__", parent, f"{parent}.__init__")
    return next((candidate for candidate in candidates if candidate in modules), None)


def _room(module: str) -> str:
    return module.split(".")[1]


def _rank(module: str) -> tuple[str, int]:
    package, room = module.split(".")[:2]
    layers = [line.split() for line in LAYERS[package].strip().splitlines()]
    return package, next(number for number, rooms in enumerate(layers) if room in rooms)


def offenders(imports: Imports) -> list[str]:
    """Return the imports that run upward or sideways."""
    found = []
    for importer, imported in imports.items():
        package, layer = _rank(importer)
        for module in imported:
            other, below = _rank(module)
            within = other == package
            if (within and _room(module) != _room(importer) and below <= layer) or (
                package == "dataworks_tasks" and not within
            ):
                found.append(f"{importer} imports {module}")
    return sorted(found)


def circle(imports: Imports, group: Callable[[str], str]) -> list[str]:
    """Return one circle of imports between groups of modules; empty without a circle."""
    graph: dict[str, set[str]] = {}
    for importer, imported in imports.items():
        graph.setdefault(group(importer), set()).update(
            group(module) for module in imported if group(module) != group(importer)
        )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _file(module: str) -> str:
    return module


def _folder(module: str) -> str:
    """Return a module's folder; a file next to the folders of a package is a room of its own."""
    folder = module.rpartition(".")[0]
    return module if folder in LAYERS else folder


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    return imports_of(ROOT)


def test_every_room_has_a_layer(imports: Imports) -> None:
    for package, layers in LAYERS.items():
        rooms = {_room(module) for module in imports if module.startswith(f"{package}.")}
        assert sorted(rooms - set(layers.split())) == []


def test_imports_run_downward(imports: Imports) -> None:
    assert offenders(imports) == []


@pytest.mark.parametrize("group", [_file, _folder])
def test_there_is_no_circle(imports: Imports, group: Callable[[str], str]) -> None:
    assert circle(imports, group) == []


def test_the_page_on_architecture_names_every_room(imports: Imports) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rooms = {_room(module) for module in imports} - {"__init__", "__main__"}
    assert [room for room in sorted(rooms) if not re.search(rf"`{room}/?`", page)] == []


def test_no_two_modules_define_the_same_public_name() -> None:
    homes = defaultdict(list)
    for package in LAYERS:
        for path in (ROOT / package).rglob("*.py"):
            for name in read_source(path).definitions:
                homes[name].append(str(path.relative_to(ROOT)))
    twins = {name: paths for name, paths in homes.items() if len(paths) > 1 and name[0] != "_"}
    assert twins.keys() == ENTRY_POINTS, twins


@pytest.fixture
def wrong(tmp_path: Path) -> dict[str, set[str]]:
    """Return the imports of a tree with every mistake."""
    files = {
        "dataworks_tasks/errors.py": "from dataworks_tasks.store import client",
        "dataworks_tasks/store/client.py": "def later():\n    import dataworks_tasks.ledger.keys",
        "dataworks_tasks/ledger/keys.py": "from dataworks_tasks.errors import Fact",
        "dataworks_tasks/version.py": "from producer.state_folder import STATE_FOLDER",
        "producer/state_folder.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return imports_of(tmp_path)


def test_what_is_wrong_is_found(wrong: Imports) -> None:
    assert offenders(wrong) == [
        "dataworks_tasks.errors imports dataworks_tasks.store.client",
        "dataworks_tasks.store.client imports dataworks_tasks.ledger.keys",
        "dataworks_tasks.version imports producer.state_folder",
    ]
    assert len(circle(wrong, _file)) == 4  # the first again at the end
    assert len(circle(wrong, _folder)) == 4
