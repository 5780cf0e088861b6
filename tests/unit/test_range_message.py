"""What a message may say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.broker.messages import read_range, read_run_id
from dataworks_tasks.errors import BadMessage
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS

anything = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)


@given(anything, anything)
def test_only_whole_numbers_make_a_range(start: object, stop: object) -> None:
    with pytest.raises(BadMessage):
        read_range(start, stop)


@pytest.mark.parametrize(
    ("start", "stop"), [(-1, 5), (5, 5), (6, 5), (0, MAX_DOCUMENTS + 1), (10**400, 10**401)]
)
def test_a_range_has_its_limits(start: int, stop: int) -> None:
    within = re.escape(f"a message's range is not within [0:{MAX_DOCUMENTS})")
    with pytest.raises(BadMessage, match=within):
        read_range(start, stop)


def test_a_good_range() -> None:
    assert read_range(3, 9) == BatchRange(3, 9)


@pytest.mark.parametrize(
    "run_id", ["../../etc/passwd", "gen-", "gen-a b", "gen-{x}", "", 7, None, "gen-" + "x" * 70]
)
def test_only_run_ids_are_run_ids(run_id: object) -> None:
    with pytest.raises(BadMessage, match="a message does not name a run id"):
        read_run_id(run_id)
