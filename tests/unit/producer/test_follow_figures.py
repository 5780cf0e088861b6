"""The lines of `status` for a run that follows its source."""

from __future__ import annotations

import pytest

from producer.view.follow_figures import FollowFigures, Phase


@pytest.mark.parametrize(
    ("count", "waiting", "suspect"),
    [
        (1, "1 window, 1 entry of the change log, 1 hot key", "1 window, due in 5 s"),
        (2, "2 windows, 2 entries of the change log, 2 hot keys", "2 windows, due in 5 s"),
    ],
)
def test_nouns_agree_with_their_numbers(count: int, waiting: str, suspect: str) -> None:
    rows = dict(FollowFigures(Phase.FOLLOWING, 0, 10, count, count, count, count, 5).rows())
    assert rows["waiting"] == waiting
    assert rows["suspect"] == suspect
