"""What refusals cost a fleet, in virtual time: the same figures on every machine.

The writers and the controller's script are the real ones; the server and the clock are simulated.
Each figure is the worst of several seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.refusals import OUTAGES_SECONDS, SHARES, Outage, RefusedShare
from tests.support.virtual_time import VirtualTime
from tests.unit.rate_limits.fleet_simulation import Fleet, Server

SEEDS = range(5)
_SHARE_SECONDS, _FREE_SECONDS = 30.0, 10.0
_RECOVERED, _WINDOW_SECONDS, _STEP_SECONDS, _LONGEST_SECONDS = 0.9, 1.0, 0.1, 30.0


def virtual_refusals(
    seeds: Sequence[int] = SEEDS,
) -> tuple[list[RefusedShare], list[Outage]]:
    """Both tables."""
    shares = [min((_share(share, seed) for seed in seeds), key=_ratio) for share in SHARES]
    outages = [
        max((_outage(seconds, seed) for seed in seeds), key=_recovery)
        for seconds in OUTAGES_SECONDS
    ]
    return shares, outages


def _ratio(row: RefusedShare) -> float:
    return row.ratio


def _recovery(outage: Outage) -> float:
    return outage.recovery_seconds


def _run(refused_share: Callable[[float], float], seconds: float, seed: int) -> Server:
    return Fleet(Server(VirtualTime(), refused_share), seed=seed).run(seconds)


def _share(share: float, seed: int) -> RefusedShare:
    free = _run(lambda _second: 0.0, _SHARE_SECONDS, seed)
    refusing = _run(lambda _second: share, _SHARE_SECONDS, seed)
    return RefusedShare(share, *(run.rate(0, _SHARE_SECONDS) for run in (refusing, free)))


def _outage(seconds: float, seed: int) -> Outage:
    began, ended = _FREE_SECONDS, _FREE_SECONDS + seconds
    course = _run(lambda second: float(began <= second < ended), ended + _LONGEST_SECONDS, seed)
    wanted = _RECOVERED * course.rate(1, began)
    waited = 0.0
    while waited < _LONGEST_SECONDS - _WINDOW_SECONDS:
        start = ended + waited
        if course.rate(start, start + _WINDOW_SECONDS) >= wanted:
            break
        waited += _STEP_SECONDS
    return Outage(seconds, waited + _WINDOW_SECONDS)
