"""The cut-overs that visitors requested, each with its own thread and connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread

from dataworks_tasks.errors import DataWorksError, RunFailed, UsageError
from dataworks_tasks.ledger.contract import FINISHED
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.cutover.cut_over_request import CutOverRequest
from producer.cutover.cut_over_run import cut_over_run
from producer.drive.observation import StopRequest

_LINES_SHOWN = 12
_STOP_SECONDS = 10.0
"""How long a stopping page waits for its cut-overs to remove a block of writes."""

Note = Callable[[str], None]
"""Records that something happened."""


class CutOvers:
    """Runs cut-overs. When the page stops, they are given up, and can be repeated."""

    def __init__(self, config: FrameworkConfig) -> None:
        self._config = config
        self._lock = Lock()
        self._stopped = Event()
        self._begun: dict[str, _CutOver] = {}

    def begin(self, run_id: str, request: CutOverRequest, note: Note) -> None:
        """Begin to cut the run over, and ``note`` its beginning and its end.

        Raises UsageError while the page cuts this run over already.
        """
        with self._lock:
            known = self._begun.get(run_id)
            if known is not None and known.is_alive:
                raise UsageError(f"run {run_id} is being cut over", "Wait for its end")
            self._begun[run_id] = _CutOver(self._config, run_id, request, note, self._stopped)

    def lines(self, run_id: str) -> Sequence[str]:
        """Return the lines of the run's latest cut-over; empty if there was none."""
        known = self._begun.get(run_id)
        return () if known is None else tuple(known.lines)

    def stop(self) -> None:
        """Give all of them up, and wait until they have ended."""
        self._stopped.set()
        for each in list(self._begun.values()):
            each.join(_STOP_SECONDS)


class _CutOver:
    def __init__(
        self,
        config: FrameworkConfig,
        run_id: str,
        request: CutOverRequest,
        note: Note,
        stopped: Event,
    ) -> None:
        self.lines: deque[str] = deque(maxlen=_LINES_SHOWN)
        self._config, self._run_id, self._request = config, run_id, request
        self._note, self._stopped = note, stopped
        self._thread = Thread(target=self._run, name=f"cutover {run_id}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        end = "cut-over abandoned"
        try:
            self._note("cut over")
            with Connections(self._config) as connections:
                progress = cut_over_run(
                    connections, self._run_id, self._request, self._say, self._should_stop
                )
                if progress.state in FINISHED:
                    end = "cut-over complete"
                self.lines.append(f"the run is {progress.state}")
        except DataWorksError as error:
            self.lines.append(str(error))
        except Exception as error:
            self.lines.append(f"unexpected: {type(error).__name__}")
            raise  # the log has the traceback
        finally:
            self._note(end)

    def _say(self, line: str) -> None:
        if self._stopped.is_set():
            raise RunFailed(
                "the page was stopped during the cut-over",
                f"Repeat it: dataworks cutover {self._run_id}",
            )
        self.lines.append(line)

    def _should_stop(self) -> StopRequest:
        return StopRequest.NOW if self._stopped.is_set() else StopRequest.NONE
