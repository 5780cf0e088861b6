"""Complete the commands in a text with the flags that they need, so that they can be pasted.

Such texts come from all layers and from the ledger, which do not know how a command was called.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

from dataworks_tasks.ledger.run_flags import RunFlags
from dataworks_tasks.runs.run_id import RUN_ID
from producer.address_settings import ADDRESS_SETTINGS

_LOOKS = ("status", "runs", "failures", "report", "pause", "cancel", "rate", "metrics", "web")
_CONNECTS = ("indexes", "cutover", "sync", "worker", "doctor", "generate", "migrate", "plan")
_WORKS = ("resume", "retry", "verify")
_COMMAND = re.compile(
    rf"\bdataworks (?P<name>{'|'.join((*_LOOKS, *_CONNECTS, *_WORKS))})(?![\w-])"
    rf"( (?:{RUN_ID}|RUN\b))?"
)


def with_flags(text: str, typed: RunFlags, of_run: RunFlags | None = None) -> str:
    """Return the text; its commands have the flags ``typed``, and those ``of_run`` if they connect.

    An address that holds a secret is left out; ``first_steps`` says what to do about it.
    """
    return _COMMAND.sub(lambda found: found[0] + _shown(found["name"], typed, of_run), text)


def first_steps(text: str, typed: RunFlags, of_run: RunFlags | None = None) -> tuple[str, ...]:
    """Return what has to be done before the text's commands work, because addresses are secret."""
    needed = {
        name
        for found in _COMMAND.finditer(text)
        for name in _needed(found["name"], typed, of_run).secret
        if name in _names(found["name"])
    }
    return tuple(
        f"First set the address of --{name}, whose user name or password is not shown: "
        f"export FRAMEWORK_{ADDRESS_SETTINGS[name]}=URI"
        for name in ADDRESS_SETTINGS
        if name in needed
    )


def pasteable(text: str, typed: RunFlags, of_run: RunFlags | None = None) -> str:
    """Return a sentence with commands that work, and what has to be done first."""
    return ". ".join((with_flags(text, typed, of_run), *first_steps(text, typed, of_run)))


def _shown(command: str, typed: RunFlags, of_run: RunFlags | None) -> str:
    flags = _needed(command, typed, of_run)
    given = ((name, getattr(flags, name)) for name in _names(command))
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in given if value)


def _needed(command: str, typed: RunFlags, of_run: RunFlags | None) -> RunFlags:
    """Return the flags of which the command needs some; the run was found with the typed ones."""
    if command in _LOOKS or of_run is None:
        return typed
    return typed.over(replace(of_run, broker=None))


def _names(command: str) -> Iterator[str]:
    yield "profile"
    yield "broker"
    if command not in _LOOKS:
        yield from ("source", "target")
    if command in _WORKS:
        yield "workers"
