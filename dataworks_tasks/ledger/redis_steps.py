"""Run one atomic step at a time on the ledger's Redis, and translate its errors."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from dataworks_tasks.errors import LedgerUnavailable, SettingsError, UnknownName

_SCRIPTS = (
    "acknowledge",
    "append_slices",
    "append_windows",
    "change_limits",
    "change_state",
    "checkpoint_window",
    "claim",
    "claim_due",
    "claim_targets",
    "close_copy",
    "close_plan",
    "complete_follow",
    "create_run",
    "acquire_finish_lease",
    "hold_step",
    "keep_flags",
    "name_run",
    "note_error",
    "reopen_failed",
    "sample_history",
    "set_going",
    "set_notes",
    "checkpoint_slice",
    "send_window",
    "take_tokens",
    "want_processes",
)

T = TypeVar("T")


class RedisSteps:
    """A Redis, and the scripts that change a run's keys: one for each atomic step."""

    def __init__(self, redis: Redis, setting: str = "FRAMEWORK_BROKER_URL") -> None:
        """Use ``redis``; ``setting`` names where its address was set."""
        self.redis = redis
        self._setting = setting

    @cached_property
    def _scripts(self) -> Mapping[str, Script]:
        folder = files(__package__)
        return {
            name: self.redis.register_script(folder.joinpath(f"{name}.lua").read_text())
            for name in _SCRIPTS
        }

    def run(self, run_id: str, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        """Run a script; raises what ``guard`` raises."""
        return self.guard(
            run_id, lambda: self._scripts[script](keys=list(keys), args=list(arguments))
        )

    def guard(self, run_id: str, step: Callable[[], T]) -> T:
        """Do a step; raises LedgerUnavailable, SettingsError or UnknownName for Redis' errors."""
        try:
            return step()
        except (AuthenticationError, NoPermissionError):
            raise SettingsError(
                "Redis refused the user, the password or a command",
                f"Check {self._setting} and the ACL in docs/security.md",
            ) from None
        except ResponseError as error:
            if "UNKNOWNRUN" in str(error):
                raise unknown_run(run_id) from None
            raise refused(error) from None
        except RedisError as error:
            raise LedgerUnavailable(f"Redis does not answer: {_sentence(error)}") from None


def refused(error: RedisError) -> LedgerUnavailable:
    """Build the error for a command that Redis answered with an error."""
    if is_full(error):
        return LedgerUnavailable(
            "Redis is full and stores nothing",
            "Give it more memory (maxmemory); dataworks doctor says how much it has",
        )
    if cannot_write_disk(error):
        return LedgerUnavailable(
            "Redis cannot write to its disk and stores nothing",
            "Free space there; the log of Redis says more",
        )
    return LedgerUnavailable(f"Redis could not store: {_sentence(error)}")


def cannot_write_disk(error: RedisError) -> bool:
    """Return whether Redis refused a command because it cannot write to its disk."""
    return "MISCONF" in str(error)


def is_full(error: BaseException) -> bool:
    """Return whether Redis refused a command because its memory is full, even within a script."""
    return isinstance(error, OutOfMemoryError) or (
        isinstance(error, ResponseError) and "> 'maxmemory'" in str(error)
    )


def unknown_run(run_id: str) -> UnknownName:
    """Build the error for a run that is not on record."""
    return UnknownName(
        f"run {run_id!r} is not on record in this Redis",
        "List the runs with: dataworks runs. If Redis lost it: "
        f"dataworks resume {shlex.quote(run_id)} --rebuild",
    )


def as_text(value: bytes | str) -> str:
    """Return a reply's text, whether or not the connection decodes replies."""
    return value.decode() if isinstance(value, bytes) else value


def as_mapping(values: Mapping[str, Any]) -> Mapping[Any, Any]:
    """Cast a mapping to what redis-py's invariant annotations accept."""
    return values


def _sentence(error: RedisError) -> str:
    """Return the error's text without its full stop, because more text follows.

    A pipeline's error begins with the command and everything that it should have stored.
    """
    return str(error).rpartition(" of pipeline caused error: ")[2].rstrip(".")
