"""Fields that are spelled like one that a rule names."""

from __future__ import annotations

from typing import Any

import pytest
from bson import encode

from dataworks_tasks.runs.spec import Transform
from producer.sampling.similar_fields import SimilarField, similar_fields

EMAIL = Transform(mask=(("email", "faker:email"),))


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"email": "a"}, None),
        ({"Email": "a"}, "Email"),
        ({"E-Mail": "a", "email": "b"}, "E-Mail"),
        ({"e_mail": "a"}, "e_mail"),
        ({"contact": {"email": "a"}}, None),
        ({"emails": "a"}, None),
    ],
)
def test_other_spellings_of_a_masked_field(document: dict[str, Any], found: str | None) -> None:
    expected = [SimilarField(found, "email", 1)] if found else []
    assert list(similar_fields(EMAIL, [encode(document)])) == expected


def test_complete_paths_are_compared_and_documents_counted() -> None:
    transform = Transform(drop=("home.street",))
    documents: list[dict[str, Any]] = [
        {"Home": {"Street": "x"}},
        {"Home": [{"Street": "x"}, {"Street": "y"}]},
        {},
    ]
    found = list(similar_fields(transform, [encode(each) for each in documents]))
    assert found == [SimilarField("Home.Street", "home.street", 2)]


def test_a_spelling_that_has_a_rule_is_left_out() -> None:
    transform = Transform(
        mask=(("email", "faker:email"),), drop=("Email",), rename=(("EMAIL", "x"),)
    )
    document = {"email": 1, "Email": 2, "EMAIL": 3}
    assert list(similar_fields(transform, [encode(document)])) == []
    assert list(similar_fields(Transform(set=(("email", "1"),)), [encode({"Email": 1})])) == []
