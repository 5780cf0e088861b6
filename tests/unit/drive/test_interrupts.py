"""Ctrl-C while a run is watched: said once, and not from inside of the signal's handler."""

from __future__ import annotations

import signal
from typing import Any, cast

from producer.connections import Connections
from producer.drive.attach import _interrupts
from producer.drive.observation import StopRequest


class _View:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class _Fleet:
    alone = False


def test_the_handler_prints_nothing_because_it_may_interrupt_a_write() -> None:
    view: Any = _View()
    with _interrupts(cast(Connections, _Fleet()), "gen-1") as interrupts:
        interrupts.show_with(view)
        assert interrupts.stop_request() is StopRequest.NONE
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert view.said == []
        assert interrupts.stop_request() is StopRequest.NOW
        assert interrupts.stop_request() is StopRequest.NOW
    assert len(view.said) == 1
    assert "dataworks pause gen-1" in view.said[0]


def test_an_interrupt_before_the_view_is_said_in_the_view() -> None:
    view: Any = _View()
    with _interrupts(cast(Connections, _Fleet()), "gen-1") as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.stop_request() is StopRequest.NOW
        interrupts.show_with(view)
        assert interrupts.stop_request() is StopRequest.NOW
    assert len(view.said) == 1
