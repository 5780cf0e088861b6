"""What the image is built from suffices to build it, and the wheel holds everything."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.unit.deploy.compose_file import ROOT

CONTEXT = ["pyproject.toml", "requirements.lock", "README.md", "LICENSE"]
FOLDERS = ["dataworks_tasks", "producer", "profiles"]


def test_a_wheel_from_the_build_context_is_complete(tmp_path: Path) -> None:
    context = tmp_path / "build"
    context.mkdir()
    for name in CONTEXT:
        shutil.copy(ROOT / name, context)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "out"]
    subprocess.run([*command, "./build"], cwd=tmp_path, check=True, timeout=100)
    [wheel] = (tmp_path / "out").glob("dataworks-*.whl")
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
    assert not [name for name in held if "tests/" in name or ".env_local" in name]
