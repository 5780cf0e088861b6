"""``dataworks worker`` refuses pools before Celery imports what they need."""

from __future__ import annotations

import os

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


@pytest.mark.parametrize("word", ["-Pthreads", "-Pthread", "-P=threads"])
def test_a_pool_in_one_word_is_no_call_for_help(word: str) -> None:
    done = CliRunner().invoke(command, [word], standalone_mode=False)
    assert "is not supported. Leave --pool out" in str(done.exception)


def test_options_of_celery_in_one_word_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _program, words, _environment: started.append(words))
    monkeypatch.setenv("FRAMEWORK_BROKER_URL", "redis://127.0.0.1:1/0")
    words = ["-Qhigh", "-c4", "-E", "-nhost@x", "-Ofair"]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.exception is None
    assert started[0][-9:] == ["-Q", "high", "-c", "4", "-E", "-n", "host@x", "-O", "fair"]


@pytest.mark.parametrize(
    ("arguments", "pools"),
    [((), []), (("-Q", "fast"), []), (("-E", "--pool", "solo"), ["solo"]), (("--pool",), [""])],
)
def test_pools_are_found_among_any_options(arguments: tuple[str, ...], pools: list[str]) -> None:
    assert list(named_pools(arguments)) == pools
