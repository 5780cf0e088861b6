"""A command with local services: starts them, prints what it started, and ends when it is asked to.

``python example_command.py FOLDER|temporary exit|raise|wait|fork``
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from producer.local.binaries import MONGOD, VALKEY, find_binary
from producer.local.celery_services import CeleryWorker
from producer.local.mongod import Mongod
from producer.local.process_control import children_of
from producer.local.services import LocalServices
from producer.local.valkey import Valkey


def descendants(pid: int) -> list[int]:
    """Every process below ``pid``."""
    children = children_of(pid)
    return children + [deeper for child in children for deeper in descendants(child)]


def fork_sleeper() -> int:
    """Fork a process that holds every pipe of this process open."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    return pid


def main() -> None:
    """Run."""
    # A shell that runs the tests in the background has it ignored, for all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place, ending = sys.argv[1:]
    with LocalServices(None if place == "temporary" else Path(place)) as services:
        mongod = Mongod(find_binary(MONGOD))
        valkey = services.start(Valkey(find_binary(VALKEY)))[0]
        here = str(Path(__file__).parent)
        environment = {
            "EXAMPLE_BROKER": str(valkey.url),
            "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
        }
        worker = CeleryWorker(
            environment, concurrency=2, application="example_app", grace_seconds=0.3
        )
        services.start(mongod, worker)
        reported = {
            "folder": str(services.folder),
            "supervisor": services.supervisor_pid,
            "services": services.pids(),
            "processes": [services.supervisor_pid, *descendants(services.supervisor_pid)],
        }
        if ending == "fork":
            reported["fork"] = fork_sleeper()
        print(json.dumps(reported), flush=True)  # noqa: T201
        if ending == "raise":
            raise RuntimeError("the command failed")
        if ending in ("wait", "fork"):
            services.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
