"""Every turn makes some progress, and distant workers do not keep long turns for good."""

from __future__ import annotations

from dataworks_tasks.worker.turn_length import SHORTEST_SECONDS, TurnLength


def test_turns_without_progress_get_longer_until_there_is_some() -> None:
    turn = TurnLength()
    for _ in range(3):
        turn.learn(ran_out=True, progressed=False)
    assert turn.seconds == 8 * SHORTEST_SECONDS
    for _ in range(20):
        turn.learn(ran_out=True, progressed=True)
    assert turn.seconds == SHORTEST_SECONDS


def test_a_turn_that_ended_for_another_reason_says_nothing() -> None:
    turn = TurnLength()
    turn.learn(ran_out=False, progressed=False)
    assert turn.seconds == SHORTEST_SECONDS


def test_a_turn_has_an_end() -> None:
    turn = TurnLength()
    for _ in range(100):
        turn.learn(ran_out=True, progressed=False)
    assert turn.seconds == 30.0
