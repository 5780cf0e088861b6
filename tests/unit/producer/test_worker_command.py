"""``dataworks worker`` refuses pools before Celery imports what they need."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from producer.cli.worker import command, named_pools


@pytest.mark.parametrize(
    "arguments",
    [("-P", "gevent"), ("-Pgevent",), ("--pool", "gevent"), ("--pool=gevent",)],
    ids=" ".join,
)
def test_a_pool_that_is_not_supported_is_refused_by_name(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, [*arguments], standalone_mode=False)
    assert "the pool 'gevent' is not supported" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "pools"),
    [((), []), (("-Q", "fast"), []), (("-E", "--pool", "solo"), ["solo"]), (("--pool",), [""])],
)
def test_pools_are_found_among_any_options(arguments: tuple[str, ...], pools: list[str]) -> None:
    assert list(named_pools(arguments)) == pools
