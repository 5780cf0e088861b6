"""What a worker says about a run's spec that it cannot read."""

from __future__ import annotations

import hashlib
import json
from socket import gethostname
from typing import Any

import pytest

from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.runs.read_spec import read_spec
from dataworks_tasks.runs.spec import FORMAT_VERSION, RunSpec
from tests.contract.contract_support import migration_spec

_SHAPES = {3: "2e1739e1", 4: "7f05c46d", 5: "74645a75"}
"""A digest of every field and choice, by format."""


def _spec(**changes: Any) -> dict[str, Any]:
    return {**json.loads(migration_spec().to_json()), **changes}


def _refusal(spec: object) -> str:
    with pytest.raises(SpecRefused) as refused:
        read_spec(json.dumps(spec))
    return str(refused.value)


def test_a_field_of_another_version_is_not_called_damage() -> None:
    spec = _spec()
    spec["job"]["namespaces"][0]["colour"] = "red"
    for other in (_spec(new_part={}), spec, _spec(on_error="sometimes"), _spec(job={"kind": "x"})):
        refusal = _refusal(other)
        assert "another version of DataWorks recorded the run" in refusal
        assert "damaged" not in refusal
        assert f"Install the version that started the run on {gethostname()}" in refusal


def test_an_older_format_that_cannot_be_read_is_named() -> None:
    spec = _spec(format=FORMAT_VERSION - 1)
    del spec["target_fingerprint"]
    assert f"of the run's spec, which has format {FORMAT_VERSION - 1}" in _refusal(spec)


@pytest.mark.parametrize("new", [{}, {"new_part": {}}])
def test_a_newer_format_is_refused_even_with_the_same_fields(new: dict[str, Any]) -> None:
    refusal = _refusal(_spec(format=FORMAT_VERSION + 1, **new))
    assert (
        f"has format {FORMAT_VERSION + 1}, but this version reads format {FORMAT_VERSION}"
        in refusal
    )
    assert f"Update DataWorks on {gethostname()}" in refusal


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", f'{{"format": {FORMAT_VERSION}}}', '{"format": "3"}']
)
def test_damage_is_called_damage(text: str) -> None:
    with pytest.raises(SpecRefused, match="damaged"):
        read_spec(text)


def test_a_new_field_takes_a_new_format() -> None:
    """Otherwise workers of the earlier version cannot say which version they need."""
    schema = RunSpec.model_json_schema()
    shapes = {"RunSpec": schema, **schema["$defs"]}
    fields = {
        name: sorted(one.get("properties", one.get("enum", []))) for name, one in shapes.items()
    }
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]
    assert _SHAPES.get(FORMAT_VERSION) == digest, (
        "the spec has other fields or choices: raise FORMAT_VERSION and add its digest"
    )
