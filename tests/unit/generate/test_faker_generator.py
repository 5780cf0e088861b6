"""Faker's generator with few providers makes what that with all of them makes."""

from __future__ import annotations

import random
from collections import OrderedDict
from itertools import product
from typing import Any

import pytest
from faker import Faker

from dataworks_tasks.generate.fields.faker_generator import methods, seedable

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


@pytest.mark.parametrize("locale", LOCALES)
def test_shortcuts_draw_the_same_words_by_the_same_numbers(locale: str) -> None:
    complete, (ours, source) = _of_faker(locale), seedable(locale)
    complete.random = random.Random()
    texts = ("#%$!@?^ {{ x", "##-??", "{{first_name}} {{ last_name }}", "{{random_int: small }}")
    for generator in (complete, ours):
        generator.set_arguments("small", "max", 9)
    calls: list[tuple[str, tuple[object, ...]]] = [
        *((name, ()) for name in ("name", "address", "email", "phone_number", "license_plate")),
        *((name, ()) for name in ("company", "credit_card_number", "user_agent", "color", "bban")),
        *((name, (text,)) for name in ("parse", "bothify", "numerify", "lexify") for text in texts),
        ("random_element", ({"a", "b"},)),
        ("random_element", (OrderedDict(a=9, b=1),)),
    ]
    for seed, (name, arguments) in product(range(5), calls):
        complete.random.seed(seed)
        source.seed(seed)
        made = getattr(ours, name)(*arguments)
        assert made == getattr(complete, name)(*arguments), name
        assert source.getstate() == complete.random.getstate(), name


def test_a_pattern_with_an_unknown_token_is_refused_as_by_faker() -> None:
    ours, _ = seedable("en_US")
    with pytest.raises(AttributeError):
        ours.parse("{{nosuch}}")
