"""What happens to a message whose task cannot continue now."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject

from dataworks_tasks import tasks
from dataworks_tasks.errors import LedgerUnavailable


class BrokerIsAway:
    """A task whose message for later cannot be sent: Celery gives up the one at hand then."""

    request = SimpleNamespace(retries=0)

    def retry(self, **_: Any) -> None:
        raise Reject("connection refused", requeue=False)


def test_a_message_is_not_dropped_when_the_broker_takes_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)
    away: Any = BrokerIsAway()
    with pytest.raises(Reject) as given_back:
        tasks._retry(away, "gen-1", LedgerUnavailable("the broker does not answer"))
    assert given_back.value.args == ("the broker does not answer", True)
