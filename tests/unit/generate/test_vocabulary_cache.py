"""Faker's generator with few providers makes what that with all of them makes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from faker import Faker

from dataworks_tasks.generate.fields.vocabulary_cache import methods, seedable

LOCALES = ("en_US", "de_DE", "ja_JP", "pt_BR", "ar_EG", "he_IL")


@pytest.fixture(autouse=True)
def _new_generators() -> None:
    seedable.cache_clear()


def _of_faker(locale: str) -> Any:
    return Faker(locale, use_weighting=False).factories[0]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_first_providers_have_methods_that_no_other_replaces(locale: str) -> None:
    complete = _of_faker(locale)
    few, _ = seedable(locale)
    first = [name for name, value in vars(few).items() if callable(value)]
    assert "first_name" in first
    assert "iban" not in first
    for name in first:
        ours, theirs = getattr(few, name), getattr(complete, name)
        assert getattr(ours, "__func__", ours) is getattr(theirs, "__func__", theirs), name


@pytest.mark.parametrize("method", ["name", "street_address", "company", "email", "iban", "job"])
def test_words_do_not_depend_on_what_was_asked_for_before(method: str) -> None:
    complete = _of_faker("de_DE")
    complete.random = random.Random(5)
    wanted = getattr(complete, method)()
    few, source = seedable("de_DE")
    source.seed(5)
    assert getattr(few, method)() == wanted
    few.iban()  # has the other providers added
    source.seed(5)
    assert getattr(few, method)() == wanted


def test_every_method_is_known_and_no_other() -> None:
    known = {name for name in dir(_of_faker("en_US")) if not name.startswith("_")}
    assert set(methods("en_US")) == known
    generator, _ = seedable("en_US")
    with pytest.raises(AttributeError):
        generator.nosuch  # noqa: B018
    assert not hasattr(generator, "__nosuch__")
