"""What a worker requests from the fleet's shared budget, and what it is granted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketRequest:
    """Tokens wanted from one bucket. A bucket without any rate grants at once."""

    name: str
    wanted: float
    correction: float = 0.0
    """What the caller's earlier writes cost beyond (if negative, below) what was taken for them."""
    limit: float | None = None
    """Tokens per second that the run was given for the whole fleet."""
    controlled: bool = False
    """Whether the controller's rate applies to this bucket too."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Takes from all buckets in one step, or from none."""

    buckets: Sequence[BucketRequest]
    longest_wait_seconds: float
    """Refuse instead if the wait would be longer."""
    epoch: int = 0
    """The controller's epoch that the caller knows; 0: none yet."""
    refused: float = 0.0
    """Since the caller last asked: tokens of its writes of this epoch that the server refused."""
    accepted: float = 0.0
    """Tokens of them that it accepted."""
    writes: int = 0
    """The number of these writes."""
    sent: float = 0.0
    """Tokens of all its writes that have ended since, whenever they were granted."""
    joins: bool = False
    """Whether the caller was throttled and is not under the controller yet."""
    accepted_rate: float = 0.0
    """Tokens per second that the server lately accepted from a caller that joins."""

    def script_arguments(self) -> Iterator[str | float]:
        """Yield the arguments of take_tokens.lua."""
        yield round(self.longest_wait_seconds * 1000)
        yield self.epoch
        yield self.refused
        yield self.accepted
        yield self.writes
        yield self.sent
        yield int(self.joins)
        yield self.accepted_rate
        for bucket in self.buckets:
            yield bucket.name
            yield bucket.limit or 0
            yield int(bucket.controlled)
            yield bucket.wanted
            yield bucket.correction


@dataclass(frozen=True, slots=True)
class ThrottledRate:
    """The rate that a throttling server accepts from a run, as found by the controller."""

    a_second: float
    in_request_units: bool


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """``granted``: the tokens were taken; spend them after ``wait_seconds``."""

    granted: bool
    wait_seconds: float
    controller_rate: float | None
    """The controller's rate in tokens per second; None while it sets no limit."""
    epoch: int = 0
    """The controller's epoch; 0: no caller was throttled yet."""

    @classmethod
    def from_reply(cls, reply: Sequence[int | bytes | str]) -> TokenGrant:
        """Decode the reply of take_tokens.lua."""
        granted, milliseconds, rate, epoch = reply
        found = float(rate)
        return cls(
            granted=bool(int(granted)),
            wait_seconds=int(milliseconds) / 1000,
            controller_rate=found if found > 0 else None,
            epoch=int(epoch),
        )
