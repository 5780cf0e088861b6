"""The part of a Kubernetes cluster's API that ``kubectl apply`` needs; it has no nodes.

It says which kinds there are, and keeps the objects that it is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KINDS = {
    "v1": {"Namespace": False, "Secret": True, "ConfigMap": True, "Service": True},
    "apps/v1": {"Deployment": True},
    "batch/v1": {"Job": True},
    "policy/v1": {"PodDisruptionBudget": True},
    "networking.k8s.io/v1": {"NetworkPolicy": True},
    "keda.sh/v1alpha1": {"ScaledObject": True, "TriggerAuthentication": True},
}
"""Kinds by group and version, and whether they are in a namespace."""


class ClusterApi(ThreadingHTTPServer):
    """``objects``: what was created, by its address."""

    daemon_threads = True

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        super().__init__(("127.0.0.1", 0), _Request)

    @property
    def url(self) -> str:
        """Where kubectl finds it."""
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return the object that was created last with that kind and name."""
        found = [
            one
            for one in self.objects.values()
            if (one["kind"], one["metadata"]["name"]) == (kind, name)
        ]
        assert found, f"no {kind} {name}: {sorted(self.objects)}"
        return found[-1]


@contextmanager
def cluster_api() -> Iterator[ClusterApi]:
    """Serve one on loopback."""
    with ClusterApi() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Request(BaseHTTPRequestHandler):
    server: ClusterApi

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = _discovery().get(path) or self.server.objects.get(path)
        self._answer(200 if found else 404, found or _status(404, "NotFound", path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = f"{self.path.partition('?')[0]}/{body['metadata']['name']}"
        self.server.objects[path] = body
        self._answer(201, body)

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _status(code: int, reason: str, path: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": f"{path} not found",
    }


def _discovery() -> dict[str, dict[str, Any]]:
    groups = []
    found: dict[str, dict[str, Any]] = {"/api": {"kind": "APIVersions", "versions": ["v1"]}}
    for group_version, kinds in KINDS.items():
        group, _, version = group_version.rpartition("/")
        if group:
            named = {"groupVersion": group_version, "version": version}
            groups.append({"name": group, "versions": [named], "preferredVersion": named})
        found[f"/apis/{group_version}" if group else "/api/v1"] = {
            "kind": "APIResourceList",
            "groupVersion": group_version,
            "resources": [_resource(kind, namespaced) for kind, namespaced in kinds.items()],
        }
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return found


def _resource(kind: str, namespaced: bool) -> dict[str, Any]:
    plural = re.sub("y$", "ie", kind.lower()) + "s"
    return {
        "name": plural,
        "singularName": kind.lower(),
        "namespaced": namespaced,
        "kind": kind,
        "verbs": ["create", "get", "list", "patch", "delete"],
    }
