"""The commands of docs/fleet.md for Kubernetes, typed in order, against an API without nodes.

``docker`` is a script that does nothing. What needs a pod is checked against the objects that were
sent.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster_api import ClusterApi, cluster_api
from tests.support.platform_tools import require_tool
from tests.unit.deploy.compose_file import ROOT

PAGE = (ROOT / "docs/fleet.md").read_text().partition("## Kubernetes\n")[2]
IMAGE = "registry.example.com/team/dataworks:0.1.0"
PASSWORD = "it's $HOME #1"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterApi]:
    """Yield the API after the block of commands ran in a folder with our files and .env_local."""
    kubectl = require_tool("kubectl")
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    (folder / ".env_local").write_text(
        "# mine\nFRAMEWORK_BROKER_URL=rediss://u:p@redis.example.com/0\n"
        'FRAMEWORK_TARGET_DB_CONNECTION_STRING="mongodb://u:p@db.example.com/"\n'
        "FRAMEWORK_WEB_PASSWORD='it\\'s $HOME #1'\nFLOWER_BASIC_AUTH=me:secret\n"
    )
    [block] = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    with cluster_api() as server:
        programs = folder / ".bin"
        programs.mkdir()
        # The schemas are checked by tests/unit/deploy/test_kubernetes.py.
        line = f'exec {kubectl} --server={server.url} --cache-dir={folder}/.cache "$@"'
        _write_program(
            programs / "kubectl", f'case "$*" in *apply*) {line} --validate=false;; esac\n{line}'
        )
        _write_program(programs / "docker", 'echo "$@" >> docker.log')
        _write_program(programs / "dataworks", f'exec {sys.executable} -m producer "$@"')
        kept = {name: value for name, value in os.environ.items() if name[:10] != "FRAMEWORK_"}
        path = os.pathsep.join([str(programs), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**kept, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"push {IMAGE}" in (folder / "docker.log").read_text()
        yield server


def _write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_everything_arrives_in_the_namespace(api: ClusterApi) -> None:
    assert len(api.objects) >= 16
    for path, found in api.objects.items():
        assert found["kind"] == "Namespace" or "/namespaces/dataworks/" in path
    assert api.named("Job", "generate-orders")


def test_the_secret_holds_passwords_without_quotes(api: ClusterApi) -> None:
    found = api.named("Secret", "dataworks")["stringData"]
    assert found["FRAMEWORK_WEB_PASSWORD"] == PASSWORD
    assert found["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] == "mongodb://u:p@db.example.com/"


def test_every_pod_runs_the_image_that_was_pushed(api: ClusterApi) -> None:
    images = {
        container["image"]
        for found in api.objects.values()
        if found["kind"] in {"Deployment", "Job"}
        for container in found["spec"]["template"]["spec"]["containers"]
    }
    assert images == {IMAGE}


def test_the_page_names_pods_and_ports_that_there_are(api: ClusterApi) -> None:
    commands = [shlex.split(text) for text in re.findall(r"`(kubectl [^`]+)`", PAGE)]
    assert len(commands) >= 4
    for words in commands:
        if "port-forward" in words:
            kind, _, name = words[words.index("port-forward") + 1].partition("/")
            assert kind == "service"
            [port] = api.named("Service", name)["spec"]["ports"]
            assert str(port["port"]) == words[-1]
        elif "exec" in words:
            name = next(word for word in words if "/" in word).partition("/")[2]
            assert api.named("Deployment", name)
            assert words[words.index("--") + 1] == "dataworks"
