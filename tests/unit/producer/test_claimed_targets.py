"""What becomes of a claim when a start fails."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from dataworks_tasks.errors import LedgerUnavailable, UsageError
from dataworks_tasks.runs.namespace import Namespace
from producer.start.claimed_targets import claimed_targets
from tests.contract.contract_support import generation_spec


@pytest.mark.parametrize(
    ("error", "released"),
    [(UsageError("wrong"), True), (KeyboardInterrupt(), True), (LedgerUnavailable("gone"), False)],
)
def test_a_claim_outlives_only_a_start_that_may_be_on_record(
    error: BaseException, released: bool
) -> None:
    ledger = Mock()
    ledger.targets.claim.return_value = None
    spec = generation_spec(10)
    targets = claimed_targets(ledger, spec, [Namespace("shop", "orders")], shared=False)
    with pytest.raises(type(error)), targets:
        raise error
    assert ledger.targets.release.called is released
