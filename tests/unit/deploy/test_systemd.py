"""The systemd unit is right, is the one of the page, and its worker can be asked for its health."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.platform_tools import require_tool
from tests.unit.deploy.compose_file import ROOT, image_command

UNIT = (ROOT / "deploy/systemd/dataworks-worker.service").read_text()
PAGE = (ROOT / "docs/fleet.md").read_text()


def service() -> dict[str, str]:
    """Return the section [Service]; no key is given twice."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT)
    return dict(parser["Service"])


def verified(unit: Path, text: str) -> list[str]:
    """Return what systemd says about the unit, with a program of this machine."""
    program = shutil.which("true")
    assert program
    unit.write_text(text.replace("/opt/dataworks/bin/celery", program))
    command = [require_tool("systemd-analyze"), "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if unit.name in line]


def test_systemd_accepts_it(tmp_path: Path) -> None:
    unit = tmp_path / "dataworks-worker.service"
    assert verified(unit, UNIT) == []
    [said] = verified(unit, UNIT.replace("KillMode=mixed", "KillMode=gently"))
    assert "kill mode" in said


def test_the_page_shows_the_unit() -> None:
    assert f"```ini\n{UNIT}```" in PAGE


def test_its_worker_is_started_and_stopped_as_everywhere_else() -> None:
    command = service()["ExecStart"].split()
    assert command[0] == "/opt/dataworks/bin/celery"
    assert set(command[1:]) <= set(image_command())
    assert (service()["KillMode"], service()["TimeoutStopSec"]) == ("mixed", "150")


WRITE = """
import sys, time
from dataworks_tasks.worker.liveness import LivenessFile, liveness_folder
LivenessFile("celery@here", liveness_folder()).write()
print("written", flush=True)
sys.stdin.read()
"""


def test_its_health_can_be_asked_from_outside_of_its_private_tmp(tmp_path: Path) -> None:
    """A mount namespace with another /tmp, as PrivateTmp=yes gives it to the worker."""
    runtime, temporary = service()["RuntimeDirectory"], service()["Environment"].split("=", 1)
    assert service()["PrivateTmp"] == "yes"
    assert temporary == ["TMPDIR", f"/run/{runtime}"]
    [shown] = re.findall(r"^sudo -u dataworks env TMPDIR=(\S+) (.*)$", PAGE, re.MULTILINE)
    assert shown == (temporary[1], "/opt/dataworks/bin/dataworks worker-health")
    private = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /tmp && exec "$@"', "sh"]
    if os.getuid() != 0 or subprocess.run([*private, "true"], check=False).returncode != 0:
        pytest.skip("only root may give a process a /tmp of its own")
    if Path("/", "tmp") in {*ROOT.parents, *Path(sys.executable).parents}:
        pytest.skip("this checkout is in /tmp, which the test hides")
    folder = Path("/run") / f"dataworks-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        for place, code in ((str(folder), 0), ("/tmp", 1)):  # noqa: S108
            worker = subprocess.Popen(
                [*private, sys.executable, "-c", WRITE],
                env={**environment, "TMPDIR": place},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert worker.stdout
            assert worker.stdout.readline() == b"written\n"
            asked = subprocess.run(
                [sys.executable, "-m", "producer", "worker-health", "--worker", "celery@here"],
                env={**environment, "TMPDIR": place},
                capture_output=True,
                check=False,
            )
            worker.communicate()
            assert asked.returncode == code, asked.stderr
    finally:
        shutil.rmtree(folder)
