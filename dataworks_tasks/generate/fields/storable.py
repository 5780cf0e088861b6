"""Python values as MongoDB stores them: what Faker and generators return and BSON does not know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Context, Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
from bson import Binary, Decimal128, encode

_DECIMAL128 = Context(prec=34, Emin=-6143, Emax=6144)


def storable(value: Any) -> Any:
    """Convert the decimals, dates, UUIDs, enums, sets and numpy values in ``value`` for BSON."""
    if type(value) is str:
        return value
    converted = value
    if isinstance(value, Mapping):
        converted = {str(key): storable(entry) for key, entry in value.items()}
    elif isinstance(value, tuple | list):
        converted = [storable(entry) for entry in value]
    elif isinstance(value, set | frozenset):
        # Each Python process has an order of its own for the texts of a set.
        converted = sorted(map(storable, value), key=lambda entry: encode({"": entry}))
    elif isinstance(value, np.ndarray):
        converted = storable(value.tolist())
    elif isinstance(value, np.generic):
        converted = storable(value.item())
    elif isinstance(value, Decimal):
        converted = Decimal128(_DECIMAL128.create_decimal(value))
    elif isinstance(value, date) and not isinstance(value, datetime):
        converted = datetime(value.year, value.month, value.day)
    elif isinstance(value, UUID):
        converted = Binary.from_uuid(value)
    elif isinstance(value, Enum):
        converted = storable(value.value)
    return converted
