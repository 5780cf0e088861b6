"""A command that is interrupted between the recording of its run and the view of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunSpec
from producer.cli.shared.options import CommandContext
from producer.cli.shared.run_to_end import run_to_end

RUN = "gen-20260101-000000-0000"
PART = GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=1000)


class _Interrupted:
    """Connections whose imports are under way when somebody types Ctrl-C."""

    def __init__(self, *, alone: bool) -> None:
        self.ledger = self.watched_ledger = RedisLedger(fakeredis.FakeRedis())
        self.alone = alone

    def finish_imports(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("alone", "said", "state"),
    [
        (False, f"dataworks pause {RUN}", RunState.RUNNING),
        (True, f"Continue with: dataworks resume {RUN}", RunState.PAUSED),
    ],
)
def test_an_interrupt_before_the_view_says_what_becomes_of_the_run(
    alone: bool,
    said: str,
    state: RunState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    connections = _Interrupted(alone=alone)
    spec = RunSpec(
        run_id=RUN,
        created_at=datetime.now(UTC),
        batch_size=1000,
        target_fingerprint="host:1",
        job=GenerationJob(name="shop", seed=1, parts=(PART,), probe_digest=""),
    )
    connections.ledger.create(spec, 1000, queue="dataworks")
    context = CommandContext(None, as_json=False)
    known: Any = connections
    assert run_to_end(context, known, spec, detach=False) == 130
    printed = capsys.readouterr().out
    assert said in printed
    assert ("no worker is running" in printed) is not alone
    assert connections.ledger.state(RUN) is state
