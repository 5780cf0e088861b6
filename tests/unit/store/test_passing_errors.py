"""Transient errors are retried; others stop a run."""

from __future__ import annotations

import pytest
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from dataworks_tasks.errors import StoreUnavailable, TerminalError
from dataworks_tasks.store.driver_errors import classify


def bulk(*codes: int, concern: int | None = None) -> BulkWriteError:
    details = {"writeErrors": [{"code": code, "errmsg": "refused"} for code in codes]}
    if concern is not None:
        details["writeConcernErrors"] = [{"code": concern, "errmsg": "not durable"}]
    return BulkWriteError(details)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(bulk(10107), StoreUnavailable, id="failover in a bulk write"),
        pytest.param(bulk(concern=64), StoreUnavailable, id="majority too slow"),
        pytest.param(bulk(91, 121), TerminalError, id="one of them by a validator"),
        pytest.param(bulk(11000), TerminalError, id="duplicate"),
        pytest.param(
            OperationFailure("readConcern afterClusterTime value must not be greater", 72),
            StoreUnavailable,
            id="a node that has not heard of a moment",
        ),
        pytest.param(OperationFailure("invalid option", 72), TerminalError, id="an option"),
    ],
)
def test_what_passes_is_transient(error: PyMongoError, kind: type[Exception]) -> None:
    assert type(classify(error)) is kind
