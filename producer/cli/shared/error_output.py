"""What a command that cannot do its work says: a line for a person, or an object for a program."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from dataworks_tasks.errors import DataWorksError, TemplateError, UsageError
from producer.cli.shared.terminal_lines import broken
from producer.view.schema_version import SCHEMA_VERSION

_DOCUMENTED = DataWorksError.__module__
_USAGE_CODE = 2


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """The ``error`` of the documented schema."""

    error: str
    message: str
    remedy: str
    exit_code: int
    findings: tuple[dict[str, str], ...] = ()


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether the command line has ``--json``; it may be wrong in any other way."""
    before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before_end


def print_error(error: click.ClickException | DataWorksError, *, as_json: bool) -> int:
    """Print the error on standard error; return the exit code."""
    shown = _shown(error)
    if as_json:
        # Standard output may hold documents, or results that came before.
        click.echo(json.dumps(_as_json(shown), ensure_ascii=False), err=True)
    elif isinstance(error, click.ClickException):
        shown_lines = io.StringIO()
        error.show(shown_lines)
        click.echo(broken(shown_lines.getvalue(), sys.stderr), err=True, nl=False)
    else:
        click.echo(broken(f"error: {error}", sys.stderr), err=True)
    return shown.exit_code


def _shown(error: click.ClickException | DataWorksError) -> ErrorObject:
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        remedy = f"Try: {context.command_path} --help" if context is not None else ""
        return ErrorObject(UsageError.__name__, error.format_message(), remedy, _USAGE_CODE)
    code = _USAGE_CODE if isinstance(error, UsageError) else 1
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == _DOCUMENTED)
    if isinstance(error, TemplateError):
        findings = tuple(finding._asdict() for finding in error.findings)
        return ErrorObject(kind, str(error), error.remedy, code, findings)
    return ErrorObject(kind, error.fact, error.remedy, code)


def _as_json(shown: ErrorObject) -> dict[str, Any]:
    value = {"version": SCHEMA_VERSION, **asdict(shown)}
    if not shown.findings:
        del value["findings"]
    return value
