"""A run keeps the format of documents that it began with: another version refuses it."""

from __future__ import annotations

import json

import pytest

from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.generate.sources import part_sources
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.reproducibility import DOCUMENTS_FORMAT
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart

TEMPLATE = {"content": {"x": {"type": "int"}}}


def job(**changes: object) -> GenerationJob:
    part = GenerationPart(namespace=Namespace("d", "c"), position=0, first=0, count=3)
    fields = {"name": "t", "seed": 1, "parts": (part,), "probe_digest": "-", "template": TEMPLATE}
    return GenerationJob(**{**fields, "documents_format": DOCUMENTS_FORMAT, **changes})


def test_a_run_of_another_version_is_refused() -> None:
    assert len(part_sources(job(), ())[0].documents.generate(0, 3)) == 3
    with pytest.raises(SpecRefused, match="documents of format 1"):
        part_sources(job(documents_format=1), ())


def test_a_spec_without_a_format_is_of_the_first_one() -> None:
    text = json.loads(job().model_dump_json())
    del text["documents_format"]
    assert GenerationJob.model_validate(text).documents_format == 1
