"""docker-compose.yml and the manifests as the tests read them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name, anchors and merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
        "services"
    ]
    return found


def manifests() -> list[dict[str, Any]]:
    """Every Kubernetes object of deploy/kubernetes."""
    paths = sorted((ROOT / "deploy/kubernetes").rglob("*.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def seconds(text: str) -> int:
    """Return a compose duration."""
    found = re.fullmatch(r"(\d+)(s|m)", text)
    assert found, text
    return int(found[1]) * {"s": 1, "m": 60}[found[2]]


def as_container_sees(command: list[str]) -> list[str]:
    """Return a compose command after compose has turned ``$$`` into ``$``."""
    return [part.replace("$$", "$") for part in command]


def image_command() -> list[str]:
    """Return the image's CMD."""
    [line] = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    parsed: list[str] = yaml.safe_load(line)
    return parsed


def build_command() -> list[str]:
    """Return the image's pip command, as words."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^RUN (.*)$", text, re.MULTILINE)
    return shlex.split(line)
