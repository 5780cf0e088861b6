"""Programs of the platforms that DataWorks runs on: kubectl, docker-compose, promtool and others.

They check the files in ``deploy/`` as the platform would. ``.ci/run`` installs them and sets
REQUIRE_PLATFORM_TOOLS; elsewhere the tests that need one are skipped.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

HOW = {
    "kubectl": "pip install -e '.[platforms]'",
    "kubernetes_validate": "pip install -e '.[platforms]'",
    "docker-compose": "pip install -e '.[platforms]'",
    "promtool": "apt-get install prometheus",
    "prometheus": "apt-get install prometheus",
    "systemd-analyze": "apt-get install systemd",
}


def require_tool(name: str) -> str:
    """Return the path of a program, this environment's first; skip the test without it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = shutil.which(name, path=path)
    if found is None:
        _is_missing(name)
    return found


def require_module(name: str) -> Any:
    """Import a package of the extra "platforms"; skips the test where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        _is_missing(name)


def _is_missing(name: str) -> NoReturn:
    reason = f"{name} is not installed: {HOW[name]}"
    if os.environ.get("REQUIRE_PLATFORM_TOOLS"):
        pytest.fail(reason)
    pytest.skip(reason)
