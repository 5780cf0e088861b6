"""What a process learns of what reading costs."""

from __future__ import annotations

from typing import cast

import pytest
from bson import encode

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.tokens import TokenGrant, TokenRequest
from dataworks_tasks.rate_limits.reads import ReadRateLimiter, rate_limited

PAGE = b"".join(encode({"_id": number, "text": "x" * 100}) for number in range(100))


class Granting:
    """A ledger that grants everything at once."""

    def __init__(self) -> None:
        self.requests: list[TokenRequest] = []

    def take_tokens(self, run_id: str, request: TokenRequest) -> TokenGrant:
        self.requests.append(request)
        return TokenGrant(True, 0.0, None)


def limiter(ledger: Granting) -> ReadRateLimiter:
    return ReadRateLimiter(cast("Ledger", ledger), "run", "units", 1000.0)


def read(ledger: Granting, one: ReadRateLimiter, pages: list[bytes], cost: float) -> None:
    list(rate_limited(iter(pages), 100, one, lambda: cost, lambda _seconds: None))


def test_the_end_of_the_results_says_nothing_of_what_a_document_costs() -> None:
    ledger = Granting()
    one = limiter(ledger)
    read(ledger, one, [PAGE], 50.0)
    most = one.max_documents(10_000)
    assert most == 200, "half a request unit a document, a tenth of a second"
    for _ in range(30):
        read(ledger, one, [], 0.0)
    assert one.max_documents(10_000) == most
    unreported = one.record(0.0, PAGE, None)
    assert unreported.estimated > 0.9 * len(PAGE) / 1024, "no fifth less for each empty page"


@pytest.mark.parametrize("cost", [0.0, 1e-9])
def test_pages_that_cost_nothing_stop_nobody(cost: float) -> None:
    ledger = Granting()
    one = limiter(ledger)
    read(ledger, one, [PAGE, PAGE], cost)
    assert one.max_documents(10_000) >= 1
