"""Read a spec that this version or another one has recorded, and say why it cannot be read."""

from __future__ import annotations

import json
from socket import gethostname

from pydantic import ValidationError

from dataworks_tasks.errors import NEW_RUN, SpecRefused
from dataworks_tasks.runs.spec import FORMAT_VERSION, RunSpec
from dataworks_tasks.version import __version__

_UNKNOWN = frozenset({"extra_forbidden", "enum", "literal_error", "union_tag_invalid"})
"""Pydantic's errors about fields and choices that only another version knows."""


def read_spec(text: str | bytes) -> RunSpec:
    """Read the spec from the ledger's JSON.

    Raises SpecRefused for a newer format and for text that is not a spec.
    """
    try:
        spec = RunSpec.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(text, error) from None
    if spec.format > FORMAT_VERSION:
        # Its fields may look the same and mean something else.
        raise _newer(spec.format)
    return spec


def _newer(version: int) -> SpecRefused:
    return SpecRefused(
        f"the run's spec has format {version}, but this version reads format {FORMAT_VERSION}",
        f"Update DataWorks on {gethostname()}: pip install -U dataworks",
    )


def _refusal(text: str | bytes, error: ValidationError) -> SpecRefused:
    """Return why a spec cannot be read: another version recorded it, or it is damaged."""
    version = _format_of(text)
    if version is not None and version > FORMAT_VERSION:
        return _newer(version)
    errors = error.errors()
    first = next((one for one in errors if one["type"] in _UNKNOWN), errors[0])
    field = ".".join(str(part) for part in first["loc"])
    if version is not None and version < FORMAT_VERSION:
        return SpecRefused(
            f"this version ({__version__}) cannot read {field!r} of the run's spec, which has "
            f"format {version}",
            f"Finish the run with the version that started it, or {NEW_RUN}",
        )
    if version is not None and first["type"] in _UNKNOWN:
        return SpecRefused(
            f"another version of DataWorks recorded the run: {field!r} in its spec is unknown to "
            f"this one ({__version__})",
            f"Install the version that started the run on {gethostname()}",
        )
    return SpecRefused(
        f"the run's spec is damaged at {field!r}",
        f"{NEW_RUN.capitalize()}: documents that were already written stay at the target",
    )


def _format_of(text: str | bytes) -> int | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    version = value.get("format") if isinstance(value, dict) else None
    return version if isinstance(version, int) else None
