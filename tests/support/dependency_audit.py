"""``make audit``: check that the packages fit together, and that no advisories are known.

Advisories come from the JSON API of the package index, one question for each package that is
pinned. A mirror usually does not have it; the audit says so then, and does not fail.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

SERVICE = "https://pypi.org/pypi"
PINS = Path(__file__).parent.parent.parent / "constraints.txt"
_SECONDS = 4.0
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Pin:
    """A package at the version that is installed."""

    name: str
    version: str


def read_pins(text: str) -> list[Pin]:
    """Return the pins of a constraints file, whatever environment they are for."""
    requirements = (re.split(r"[;\\]", line)[0].strip() for line in text.splitlines())
    pairs = (one.partition("==") for one in requirements if "==" in one)
    return [Pin(name, version) for name, _, version in pairs]


def advisories(service: str, pin: Pin) -> list[str] | None:
    """Return the known advisories, a line each; None if the service does not answer."""
    try:
        with urlopen(f"{service}/{pin.name}/{pin.version}/json", timeout=_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return [_line(pin, one) for one in found["vulnerabilities"] if not one.get("withdrawn")]
    except (OSError, HTTPException, ValueError, KeyError):
        return None


def _line(pin: Pin, advisory: dict[str, Any]) -> str:
    fixed = ", ".join(advisory.get("fixed_in") or ()) or "no version yet"
    return f"{pin.name} {pin.version}: {advisory['id']}, fixed in {fixed}"


def audit(service: str, pins: Sequence[Pin]) -> tuple[list[str], int]:
    """Every advisory, and for how many of the packages the service answered.

    The first package is asked about alone: a service that is not there costs one question.
    """
    ask = partial(advisories, service)
    if not pins or (first := ask(pins[0])) is None:
        return [], 0
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = [first, *threads.map(ask, pins[1:])]
    reported = [answer for answer in answers if answer is not None]
    return [line for answer in reported for line in answer], len(reported)


def report(service: str, pins: Sequence[Pin]) -> Iterator[str]:
    """Yield the lines to print; those that call for action begin with the package's name."""
    found, reported = audit(service, pins)
    yield from found
    if reported == 0:
        yield f"advisories are not checked: {service} has none"
    else:
        yield f"{reported} of {len(pins)} pinned packages checked, {len(found)} advisories"


def main() -> int:
    """1 when packages do not fit together or an advisory is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", default=SERVICE, help="index with the JSON API")
    chosen = parser.parse_args()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
    fits = subprocess.run(pip, check=False).returncode == 0
    lines = list(report(chosen.service, read_pins(PINS.read_text())))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if fits and len(lines) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
