"""Workers of another version: ``celery -A tests.support.next_version_app``.

``OTHER_FAKER`` in the environment: this one's Faker makes other names.
"""

from __future__ import annotations

import os
from collections import OrderedDict

from faker.providers.person.en_US import Provider

import dataworks_tasks.version

dataworks_tasks.version.__version__ = "99.0.0"
if os.environ.get("OTHER_FAKER"):
    names = OrderedDict.fromkeys(["Zaphod", "Trillian", "Marvin"], 1.0)
    for group in ("first_names", "first_names_male", "first_names_female", "last_names"):
        setattr(Provider, group, names)

from dataworks_tasks.celery_app import app  # noqa: E402 - after the change

__all__ = ["app"]
