"""Errors cross process borders: they must come back as they were."""

from __future__ import annotations

import pickle

import pytest

from dataworks_tasks import errors
from dataworks_tasks.errors import DataWorksError, Finding, TemplateError, Throttled, UnknownName


def _classes(base: type[DataWorksError]) -> list[type[DataWorksError]]:
    return [base, *(found for child in base.__subclasses__() for found in _classes(child))]


@pytest.mark.parametrize("kind", _classes(DataWorksError))
def test_every_error_rebuilds_from_its_arguments(kind: type[DataWorksError]) -> None:
    if kind is TemplateError:
        error: DataWorksError = TemplateError("t.json", [Finding("a.b", "wrong")])
    else:
        error = kind("the fact", "the remedy")
    for again in (pickle.loads(pickle.dumps(error)), kind(*error.args)):  # noqa: S301
        assert (str(again), again.args) == (str(error), error.args)


def test_every_error_is_in_the_tree_at_the_top_of_the_file() -> None:
    tree = errors.__doc__ or ""
    own = [kind for kind in _classes(DataWorksError) if kind.__module__ == errors.__name__]
    assert [kind.__name__ for kind in own if kind.__name__ not in tree] == []


def test_throttled_keeps_its_delay() -> None:
    assert pickle.loads(pickle.dumps(Throttled("slow", "", 0.5))).delay_seconds == 0.5  # noqa: S301


def test_an_unknown_name_suggests_the_nearest() -> None:
    error = UnknownName.among("template", "servic_order", ["service_order", "shop"])
    assert str(error) == "unknown template 'servic_order'. Did you mean service_order?"


def test_a_template_error_shows_every_finding() -> None:
    error = TemplateError("t.json", [Finding("a", "is bad"), Finding("b", "is worse")])
    assert str(error) == "t.json: 2 problems\n  a: is bad\n  b: is worse"
