"""A process of a pool ends without billiard's pause, and not before other handlers have run."""

from __future__ import annotations

import subprocess
import sys
import textwrap


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
