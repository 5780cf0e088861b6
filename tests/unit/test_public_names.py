"""The names that programs outside of this project import or type: they stay where they are."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from celery.app.utils import find_app

PUBLIC = {
    "dataworks_tasks": """
        BaseDataGenerator BaseDatabaseClient BaseMigrationStrategy ConfigManager CosmosDBClient
        DatabaseConfig DatabaseType FrameworkConfig GeneratorFactory GeneratorType MetricsCollector
        MigrationStrategyFactory MongoDBAtlasClient OperationMetrics PerformanceMonitor __version__
        app create_database_client
    """,
    "dataworks_tasks.settings": "ConfigManager FrameworkConfig",
    "dataworks_tasks.errors": """
        DataWorksError RunFailed SettingsError TerminalError TransientError UsageError
    """,
    "dataworks_tasks.migrate.base": "BaseMigrationStrategy",
    "dataworks_tasks.migrate.factory": "MigrationStrategyFactory",
    "producer": """
        CutOverRequest DataGenerationEngine FollowedRun MigrationEngine MigrationRequest
        RunOptions RunResult RunStatus
        create_generation_engine create_migration_engine
    """,
    "producer.cosmos_simulator": "CosmosSimulator FaultDials SimulatorConfig",
}


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in PUBLIC.items() for name in names.split()],
)
def test_a_public_name_is_there(module: str, name: str) -> None:
    assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("module", ["dataworks_tasks", "producer"])
def test_every_name_that_a_package_lists_is_public(module: str) -> None:
    assert sorted(import_module(module).__all__) == sorted(PUBLIC[module].split())


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for module in ("dataworks_tasks", "producer"):
        with pytest.raises(AttributeError, match="nonsense"):
            _ = import_module(module).nonsense


def test_celery_finds_the_app_by_the_package_and_imports_every_module_it_names() -> None:
    from dataworks_tasks import app as of_the_package

    app = find_app("dataworks_tasks")
    assert app is of_the_package
    app.loader.import_default_modules()
    assert {
        "dataworks.generate_range",
        "dataworks.copy_range",
        "dataworks.verify_range",
        "dataworks.finish_run",
    } <= set(app.tasks)
    assert type(app.amqp).__name__ == "CheckedQueue"


def test_the_command_is_an_entry_point() -> None:
    (command,) = entry_points(group="console_scripts", name="dataworks")
    assert command.value == "producer.cli:main"
    assert callable(command.load())


@pytest.mark.parametrize(
    "module", ["producer", "producer.cosmos_simulator", "producer.local.supervisor"]
)
def test_a_module_runs_as_a_program(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_a_plugin_imports_what_the_docs_name(tmp_path: Path) -> None:
    from dataworks_tasks.plugins import load_plugins

    plugin = tmp_path / "own_plugin.py"
    plugin.write_text(
        "from dataworks_tasks import BaseDataGenerator\n"
        "from dataworks_tasks.migrate.base import BaseMigrationStrategy\n"
        "from dataworks_tasks.migrate.factory import MigrationStrategyFactory\n"
        "class Own(BaseMigrationStrategy):\n"
        "    name = 'own-of-a-public-names-test'\n"
        "MigrationStrategyFactory.register(Own)\n"
    )
    (module,) = load_plugins([str(plugin)])
    from dataworks_tasks.migrate.factory import MigrationStrategyFactory

    assert MigrationStrategyFactory.create(module.Own.name).name == module.Own.name
