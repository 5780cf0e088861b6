"""A Celery application for the tests of the services."""

import os
import time

from celery import Celery

app = Celery("example_app", broker=os.environ["EXAMPLE_BROKER"])
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=True)


@app.task(name="example.nap")
def nap(seconds: float) -> None:
    """Sleep, and say so before."""
    print(f"napping in {os.getpid()}", flush=True)  # noqa: T201
    time.sleep(seconds)
