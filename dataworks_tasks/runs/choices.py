"""The choices of a run's options. A help text lists them without importing the spec's models."""

from __future__ import annotations

from enum import StrEnum


class OnError(StrEnum):
    """What happens to a run when one document can never be written."""

    STOP = "stop"
    SKIP = "skip"


class Priority(StrEnum):
    """Turns among other runs: while a low run gets one, a normal one gets two, a high one eight."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class OnConflict(StrEnum):
    """What happens when the target holds another document with the same ``_id``."""

    FAIL = "fail"
    REPLACE = "replace"
    SKIP = "skip"


class IndexPolicy(StrEnum):
    """When a migration builds the source's indexes at the target."""

    AFTER = "after"
    BEFORE = "before"
    NONE = "none"


class Partitioner(StrEnum):
    """How a collection is cut into slices."""

    AUTO = "auto"
    WALK = "walk"
    SAMPLE = "sample"
    OBJECT_ID_TIME = "objectid-time"


class OnDdl(StrEnum):
    """What happens when a followed collection itself is changed at the source."""

    STOP = "stop"
    IGNORE = "ignore"
    FOLLOW = "follow"


ID_FROM_SHARD_KEY = "shardKey"
"""The rule that makes an ``_id`` from the old one and the values of the source's shard key."""
