"""The Celery app of a worker whose Faker is another version: other words, and another number.

Faker changes its lists of words with most of its releases.
"""

from __future__ import annotations

from faker.providers.person.en_US import Provider

from dataworks_tasks.celery_app import app
from dataworks_tasks.runs import reproducibility

__all__ = ["app"]

for names in ("first_names", "first_names_female", "first_names_male", "last_names"):
    words = getattr(Provider, names)
    setattr(Provider, names, type(words)(reversed(list(words.items()))))

_versions = reproducibility.versions


def _other_versions() -> dict[str, str]:
    return {**_versions(), "faker": "1.0.0"}


reproducibility.versions = _other_versions
