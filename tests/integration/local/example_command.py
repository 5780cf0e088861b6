"""A command with local services: starts them, prints what it started, and ends as it is told.

``python example_command.py FOLDER|temporary exit|raise|wait``
"""

import json
import os
import sys
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


def main() -> None:
    """Run."""
    place, ending = sys.argv[1:]
    with LocalServices(None if place == "temporary" else Path(place)) as services:
        mongod = Mongod(find_binary(MONGOD))
        valkey = services.start(Valkey(find_binary(VALKEY)))[0]
        environment = {
            "EXAMPLE_BROKER": str(valkey.url),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        worker = CeleryWorker(environment, concurrency=2, application="example_app")
        services.start(mongod, worker)
        told = {
            "folder": str(services.folder),
            "supervisor": services.supervisor_pid,
            "services": services.pids(),
            "processes": [services.supervisor_pid, *descendants(services.supervisor_pid)],
            "urls": services.urls(),
        }
        print(json.dumps(told), flush=True)  # noqa: T201
        if ending == "raise":
            raise RuntimeError("the command failed")
        if ending == "wait":
            services.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        print(f"command {os.getpid()} ends", flush=True)  # noqa: T201
