"""The Kubernetes manifests agree with the image, the settings and each other.

KEDA's kinds are checked against its schemas here; the others, where CI or a developer installed the
extra "platforms", against those of Kubernetes, after kustomize built them.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

import jsonschema
import pytest
import yaml

from dataworks_tasks import __version__
from dataworks_tasks.ledger.keys import wanted_keys
from dataworks_tasks.settings import ConfigManager, FrameworkConfig
from dataworks_tasks.settings.setting_names import known_settings
from tests.support.platform_tools import require_module, require_tool
from tests.unit.deploy.compose_file import ROOT, image_command, manifests, services
from tests.unit.deploy.keda_schemas import KEDA_SCHEMAS

FOLDER = ROOT / "deploy/kubernetes"
OBJECTS = manifests()
PODS_IN = {"Deployment", "Job"}
KUBERNETES = "1.33.0"
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]
    for one in OBJECTS
    if one["kind"] in PODS_IN
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


@pytest.fixture(scope="module")
def built() -> list[dict[str, Any]]:
    """Return what kubectl apply -k would send, for the fleet and for a run."""
    found: list[dict[str, Any]] = []
    for folder in (FOLDER, FOLDER / "run"):
        command = [require_tool("kubectl"), "kustomize", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found += yaml.safe_load_all(done.stdout)
    return found


def test_kustomize_builds_everything_and_no_secret(built: list[dict[str, Any]]) -> None:
    kinds = {one["kind"] for one in built}
    assert kinds == {one["kind"] for one in OBJECTS} - {"Kustomization", "Component", "Secret"}
    for one in built:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "dataworks"


def test_every_image_comes_from_the_one_place(built: list[dict[str, Any]]) -> None:
    images = {
        container["image"]
        for one in built
        if one["kind"] in PODS_IN
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"REGISTRY/dataworks:{__version__}"}


def test_kubernetes_takes_them(built: list[dict[str, Any]]) -> None:
    validate = require_module("kubernetes_validate")
    for one in built:
        if one["apiVersion"].startswith("keda.sh"):
            continue
        validate.validate(one, KUBERNETES, strict=True)
    broken = next(one for one in built if one["kind"] == "PodDisruptionBudget")
    with pytest.raises(validate.ValidationError):
        validate.validate({**broken, "spec": {"maxUnavailible": 1}}, KUBERNETES, strict=True)


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
        if not reference.get("optional"):
            assert reference["key"] in known
    names = {f"FRAMEWORK_{setting.name}" for setting in known_settings()}
    assert set(only("ConfigMap")["data"]) <= names
    assert {name for name in known if name.startswith("FRAMEWORK_")} <= names


def test_the_example_secret_holds_placeholders() -> None:
    for value in only("Secret")["stringData"].values():
        rest = re.sub(r"USER|PASSWORD|HOST|rediss|mongodb\+srv|enable", "", value)
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


def test_the_page_never_runs_without_a_password() -> None:
    [container] = PODS["web"]["containers"]
    [password] = [one for one in container["env"] if one["name"] == "FRAMEWORK_WEB_PASSWORD"]
    assert "optional" not in password["valueFrom"]["secretKeyRef"]
    assert container["args"] == services()["web"]["command"]


@every_pod
def test_no_pod_has_more_secrets_than_it_needs(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    databases = {one["name"] for one in container["env"] if "_DB_" in one["name"]}
    speaks_to_databases = container["name"] in {"worker", "producer", "console"}
    assert bool(databases) is speaks_to_databases


def test_a_job_that_is_started_again_continues_its_run() -> None:
    [job] = [one for one in OBJECTS if one["kind"] == "Job"]
    [container] = PODS[job["metadata"]["name"]]["containers"]
    assert f"--run-name={job['metadata']['name']}" in container["args"]
    assert PODS[job["metadata"]["name"]]["restartPolicy"] == "OnFailure"


def test_policies_and_budgets_select_pods_that_exist() -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"] for one in OBJECTS if one["kind"] in PODS_IN
    ]
    ports = {
        port["containerPort"]
        for pod in PODS.values()
        for port in pod["containers"][0].get("ports", ())
    }
    for one in OBJECTS:
        if one["kind"] not in {"NetworkPolicy", "PodDisruptionBudget", "Service"}:
            continue
        spec = one["spec"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= pod.items() for pod in labels), one["metadata"]["name"]
        for rule in spec.get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= ports


def test_the_autoscaler_looks_at_the_queue_that_workers_read() -> None:
    [trigger] = only("ScaledObject")["spec"]["triggers"]
    assert trigger["type"] == "redis"
    assert trigger["metadata"]["listName"] == wanted_keys(settings().queue)[1]
    assert trigger["metadata"]["listLength"] == str(settings().generation_workers)
    assert trigger["metadata"].keys() <= {
        *("listName", "listLength", "activationListLength", "databaseIndex"),
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
