"""The Kubernetes manifests agree with the image, the settings and each other.

KEDA's kinds are checked against its schemas here; the others were checked against those of
Kubernetes 1.33 with kubernetes-validate, which is too large to install for every test. Where
kubectl is on the machine, kustomize builds them too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest
import yaml

from dataworks_tasks import __version__
from dataworks_tasks.ledger.keys import wanted_keys
from dataworks_tasks.settings import ConfigManager, FrameworkConfig
from dataworks_tasks.settings.loader import known_settings
from tests.unit.deploy.compose_file import ROOT, image_command, manifests, services
from tests.unit.deploy.keda_schemas import KEDA_SCHEMAS

FOLDER = ROOT / "deploy/kubernetes"
OBJECTS = manifests()
PODS = {
    one["metadata"].get("name", "producer"): one["spec"]["template"]["spec"]
    for one in OBJECTS
    if one["kind"] in {"Deployment", "Job"}
}
every_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)


def only(kind: str) -> dict[str, Any]:
    [found] = [one for one in OBJECTS if one["kind"] == kind]
    return found


def settings() -> FrameworkConfig:
    values = {
        name.removeprefix("FRAMEWORK_"): value for name, value in only("ConfigMap")["data"].items()
    }
    return ConfigManager("NOTHING_SET").load_config("none", overrides=values)


@pytest.mark.parametrize("kind", KEDA_SCHEMAS)
def test_keda_takes_them(kind: str) -> None:
    jsonschema.validate(only(kind), KEDA_SCHEMAS[kind])


def test_kustomize_builds_them() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: the tests below check the parts")
    command = ["kubectl", "kustomize", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = [one["kind"] for one in yaml.safe_load_all(done.stdout)]
    assert "Secret" not in built
    assert "ScaledObject" in built


@every_pod
def test_a_pod_is_allowed_in_a_restricted_namespace(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    assert container["image"] == f"dataworks:{__version__}"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108
    assert "memory" in container["resources"]["limits"]


@every_pod
def test_secrets_come_from_the_secret(pod: dict[str, Any]) -> None:
    known = set(only("Secret")["stringData"])
    for variable in pod["containers"][0]["env"]:
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["name"] == "dataworks"
        assert reference["key"] == variable["name"]
        assert reference["key"] in known
    names = {f"FRAMEWORK_{setting.name}" for setting in known_settings()}
    assert set(only("ConfigMap")["data"]) <= names
    assert {name for name in known if name.startswith("FRAMEWORK_")} <= names


def test_the_example_secret_holds_placeholders() -> None:
    for value in only("Secret")["stringData"].values():
        rest = re.sub(r"USER|PASSWORD|HOST|rediss|mongodb\+srv", "", value)
        assert not re.search("[A-Za-z]", rest)


def test_workers_run_as_everywhere_else_and_may_finish() -> None:
    worker = PODS["worker"]
    assert worker["containers"][0]["args"] == image_command()
    compose = services()["worker"]
    assert f"{worker['terminationGracePeriodSeconds']}s" == compose["stop_grace_period"]
    for probe in ("startupProbe", "livenessProbe"):
        command = worker["containers"][0][probe]["exec"]["command"]
        assert command == compose["healthcheck"]["test"][1:]


def test_flower_never_runs_without_a_password() -> None:
    flower = PODS["flower"]
    [auth] = [one for one in flower["containers"][0]["env"] if one["name"] == "FLOWER_BASIC_AUTH"]
    assert "optional" not in auth["valueFrom"]["secretKeyRef"]
    assert flower["enableServiceLinks"] is False


def test_the_autoscaler_looks_at_the_queue_that_workers_read() -> None:
    [trigger] = only("ScaledObject")["spec"]["triggers"]
    assert trigger["type"] == "redis"
    assert trigger["metadata"]["listName"] == wanted_keys(settings().queue)[1]
    assert trigger["metadata"]["listLength"] == str(settings().generation_workers)
    assert trigger["metadata"].keys() <= {
        *("listName", "listLength", "activationListLength", "databaseIndex", "enableTLS"),
    }
    authentication = only("TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    for reference in authentication["spec"]["secretTargetRef"]:
        assert reference["key"] in only("Secret")["stringData"]
    target = only("ScaledObject")["spec"]["scaleTargetRef"]["name"]
    [worker] = [
        one for one in OBJECTS if one["kind"] == "Deployment" and one["metadata"]["name"] == target
    ]
    assert "replicas" not in worker["spec"], "it would fight with the autoscaler"


def test_a_pod_may_hold_what_its_processes_may() -> None:
    assert settings().generation_workers == 1
