"""Whether a run can trust this Redis: it keeps its data, and its clock is right."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.ledger.redis_server import UNKNOWN, RedisFacts, cannot_write_to
from producer.doctor.check import Check

MOST_CLOCK_SECONDS = 2.0
_FULL_SHARE = 0.9
_MEGABYTE = 1024 * 1024
_NOT_ASKED = "not known: the Redis user may not run INFO"


def redis_checks(facts: RedisFacts) -> Iterator[Check]:
    """Yield one check for each way in which a Redis can fail runs."""
    yield _persistence(facts)
    yield _eviction(facts)
    yield _memory(facts)
    yield clock_check("redis clock", "its clock", facts.clock_ahead_seconds, "this machine's")


def _persistence(facts: RedisFacts) -> Check:
    name = "redis persistence"
    if facts.append_only is None:
        return Check(name, ok=True, found=_NOT_ASKED)
    if facts.cannot_write:
        remedy = "Free space there; until then nothing is acknowledged"
        return Check(name, ok=False, found=cannot_write_to(facts.folder), remedy=remedy)
    if facts.append_only:
        return Check(name, ok=True, found="append-only file on")
    remedy = "A restart would lose the runs: set appendonly yes"
    return Check(name, ok=False, found="append-only file off", remedy=remedy)


def _eviction(facts: RedisFacts) -> Check:
    name, policy = "redis memory", facts.eviction
    if policy == UNKNOWN:
        return Check(name, ok=True, found=_NOT_ASKED)
    if policy == "noeviction":
        return Check(name, ok=True, found=f"maxmemory-policy {policy}")
    remedy = "Redis may drop the ledger: set maxmemory-policy noeviction"
    return Check(name, ok=False, found=f"maxmemory-policy {policy}", remedy=remedy)


def _memory(facts: RedisFacts) -> Check:
    name, used = "redis room", f"{facts.used_bytes / _MEGABYTE:,.0f}"
    if not facts.most_bytes:
        found = f"{used} MB used, without a limit" if facts.used_bytes else _NOT_ASKED
        return Check(name, ok=True, found=found)
    found = f"{used} of {facts.most_bytes / _MEGABYTE:,.0f} MB used"
    if facts.used_bytes < _FULL_SHARE * facts.most_bytes:
        return Check(name, ok=True, found=found)
    is_full = facts.used_bytes >= facts.most_bytes
    found = f"Redis is {'full' if is_full else 'nearly full'}: {found}"
    remedy = "Give it more memory (maxmemory); until then nothing is acknowledged"
    return Check(name, ok=False, found=found, remedy=remedy)


def clock_check(name: str, what: str, ahead_seconds: float, than: str) -> Check:
    """Check the clock: leases, rates and alerts compare times of several machines."""
    if abs(ahead_seconds) <= MOST_CLOCK_SECONDS:
        return Check(name, ok=True, found=f"{what} is correct to within {MOST_CLOCK_SECONDS:.0f} s")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    found = f"{what} is {abs(ahead_seconds):,.0f} s {side} {than}"
    remedy = "Synchronize both with NTP, for example: timedatectl set-ntp true"
    return Check(name, ok=False, found=found, remedy=remedy)
