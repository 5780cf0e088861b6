"""Every part of the program has the same bounds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from dataworks_tasks.errors import TemplateError, UsageError
from dataworks_tasks.generate.batch.document_id import INDEX_LIMIT
from dataworks_tasks.generate.templates.load_template import parse_template
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE, MAX_DOCUMENTS
from dataworks_tasks.runs.choices import Partitioner
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationPart, MigrationJob
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.slicing.partitioners import PARTITIONERS
from producer.cli.migrate import command as migrate
from producer.start.new_spec import new_spec
from producer.start.run_request import RunOptions

ROOT = Path(__file__).parent.parent.parent


def test_every_document_of_the_largest_run_has_an_id() -> None:
    assert MAX_DOCUMENTS <= INDEX_LIMIT


@pytest.mark.parametrize("count", [MAX_DOCUMENTS + 1, INDEX_LIMIT, INDEX_LIMIT + 1])
def test_a_template_and_a_spec_refuse_the_same_number_of_documents(count: int) -> None:
    collection = {
        "collection": "c",
        "count": count,
        "content": {"n": {"type": "constant", "constVal": 1}},
    }
    with pytest.raises(TemplateError, match="count"):
        parse_template([collection], "t")
    with pytest.raises(ValidationError, match="count"):
        GenerationPart(namespace=Namespace("a", "b"), position=0, first=0, count=count)


def test_a_total_above_the_bound_is_refused_by_name() -> None:
    content = {"n": {"type": "constant", "constVal": 1}}
    template = parse_template([{"collection": "c", "count": 1, "content": content}], "t")
    with pytest.raises(UsageError, match="more than a run can have"):
        template.check_total(0, MAX_DOCUMENTS + 1)


def made_spec(options: RunOptions) -> Any:
    target = SimpleNamespace(
        config=SimpleNamespace(fingerprint="-"),
        capabilities=SimpleNamespace(request_charge=False),
    )
    return new_spec(MigrationJob(namespaces=()), options, FrameworkConfig(), cast("Any", target))


@pytest.mark.parametrize("size", [-1, 0, MAX_BATCH_SIZE + 1])
def test_a_batch_size_is_refused_by_settings_and_options_alike(size: int) -> None:
    with pytest.raises(UsageError, match="not a batch size"):
        made_spec(RunOptions(batch_size=size))
    with pytest.raises(ValidationError, match="batch_aggregation_size"):
        FrameworkConfig(batch_aggregation_size=size)


@pytest.mark.parametrize("concern", ["", "0", "most", "majority ", "majority\n", "100", "1x"])
def test_a_write_concern_is_refused_by_settings_and_options_alike(concern: str) -> None:
    with pytest.raises(ValidationError, match="write_concern"):
        FrameworkConfig(write_concern=concern)
    if concern:
        with pytest.raises(UsageError, match="not a write concern"):
            made_spec(RunOptions(write_concern=concern))


def test_every_partitioner_is_offered_and_known() -> None:
    assert {"auto", *PARTITIONERS} == set(Partitioner)
    shown = CliRunner().invoke(migrate, ["--help"]).output
    assert all(partitioner in shown for partitioner in Partitioner)
