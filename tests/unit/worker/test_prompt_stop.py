"""A process of a pool ends soon, and not before the handlers of its end have run."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import suppress

from dataworks_tasks.worker.prompt_stop import _end


def _run(body: str) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent("""
        import time
        from dataworks_tasks.worker.prompt_stop import end_without_pause

        def _do_exit():
            time.sleep(600)

    """) + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_pause_is_cut_short_with_the_exit_code_of_the_process() -> None:
    assert _run("end_without_pause(155); _do_exit()").returncode == 155


def test_a_handler_that_follows_runs_to_its_end() -> None:
    ended = _run("""
        end_without_pause(0)
        started = time.monotonic()
        while time.monotonic() - started < 0.1:
            pass
        print("closed", flush=True)
        _do_exit()
    """)
    assert (ended.stdout, ended.returncode) == ("closed\n", 0)


IGNORES_THE_FIRST = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


class _Process:
    """A program with the methods of a process of billiard."""

    def __init__(self) -> None:
        self.program = subprocess.Popen(
            [sys.executable, "-c", IGNORES_THE_FIRST], stdout=subprocess.PIPE
        )
        assert self.program.stdout is not None
        self.program.stdout.readline()

    def is_alive(self) -> bool:
        return self.program.poll() is None

    def terminate(self) -> None:
        self.program.terminate()

    def join(self, timeout: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.program.wait(timeout)


def test_a_process_that_missed_the_signal_gets_another() -> None:
    processes = [_Process(), _Process()]
    try:
        _end(processes)
        assert not any(process.is_alive() for process in processes)
    finally:
        for process in processes:
            process.program.kill()
            process.program.communicate()
