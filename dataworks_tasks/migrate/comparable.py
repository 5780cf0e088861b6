"""Values of two definitions, such as validators, as Python can compare them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def comparable(value: Any, *, ordered: bool = True) -> Any:
    """Return a form of ``value`` that equals another value's form if a server takes both for equal.

    Python has ``True == 1``, and a NaN that equals no NaN. ``ordered``: the order of fields counts.
    """
    if isinstance(value, Mapping):
        fields = [(name, comparable(item, ordered=ordered)) for name, item in value.items()]
        return fields if ordered else dict(fields)
    if isinstance(value, list):
        return [comparable(item, ordered=ordered) for item in value]
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, float) and math.isnan(value):
        return float, "NaN"
    return value
