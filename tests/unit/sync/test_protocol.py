"""The protocol of repair and live migration is exact, and each of its parts is needed for that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.sync.protocol_model import Protocol, World, explore

BUILT = Protocol()
FENCED = replace(BUILT, second_pass=False)
UNFENCED = replace(BUILT, fence=False)


@pytest.mark.parametrize(
    ("protocol", "world"),
    [
        (BUILT, World(deaths=0)),
        (BUILT, World(late_writes=True)),
        (BUILT, World((0, None), late_writes=True, silences=1)),
        (BUILT, World((0, None, 2), deaths=0, redis_loss=True)),
        (UNFENCED, World(late_writes=True)),
        (UNFENCED, World((0, None), late_writes=True, silences=1)),
        (FENCED, World(late_writes=True)),
    ],
)
def test_what_is_built_is_exact(protocol: Protocol, world: World) -> None:
    found = explore(protocol, world)
    assert found.schedule is None, found.schedule
    assert found.states > 30


@pytest.mark.parametrize(
    ("missing", "world"),
    [
        ({"claims": False}, World()),
        ({"reads_again": False}, World(deaths=0)),
        ({"bounded": False}, World(deaths=0)),
        ({"fence": False, "second_pass": False}, World(late_writes=True)),
        ({"fence": False, "second_pass": False}, World(deaths=0, silences=1)),
        ({"loss_makes_suspect": False}, World(deaths=0, redis_loss=True)),
    ],
)
def test_without_one_of_its_parts_there_is_a_wrong_end(
    missing: dict[str, bool], world: World
) -> None:
    assert explore(replace(BUILT, **missing), world).schedule is not None


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("protocol", "world"),
    [
        (BUILT, World(late_writes=True, silences=1, redis_loss=True, most_windows=2)),
        (BUILT, World(deaths=2, late_writes=True, silences=1)),
        (BUILT, World(workers=3, deaths=1, late_writes=True, silences=1)),
        (BUILT, World((0, None, 2, None, 4), deaths=1, late_writes=True)),
        (UNFENCED, World(deaths=2, late_writes=True, silences=1)),
        (UNFENCED, World(workers=3, deaths=1, late_writes=True, silences=1)),
    ],
)
def test_larger_worlds_are_exact_too(protocol: Protocol, world: World) -> None:
    found = explore(protocol, world)
    assert found.schedule is None, found.schedule
    assert found.states > 100_000
