"""gofakeit's method names, as mgodatagen templates use them, and Faker's twins."""

from __future__ import annotations

FAKER_METHODS = {
    "name": "name",
    "email": "email",
}
"""gofakeit name in lower case without underscores -> Faker method."""

UNMAPPED: dict[str, str] = {}
"""gofakeit name -> what to use instead, where Faker has no twin."""
