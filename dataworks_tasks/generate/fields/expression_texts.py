"""Functions of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text, text_of
from dataworks_tasks.generate.fields.expression_function import (
    ANY_KIND,
    Apply,
    Function,
    present_rows,
)
from dataworks_tasks.generate.fields.latin_letters import latin_letters


def words(name: str, function: Callable[[str], str]) -> Function:
    """Make a function of one text; a word of a vocabulary is computed only once."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        (values,) = arguments
        text = decoded_text(values)
        if text.vocabulary is not None and text.numbers is not None:
            changed = text.vocabulary.derived(name, function).at(text.numbers)
        else:
            changed = text_of([function(word) for word in text.strings()])
        return Values.of_text(changed, values.present)

    return Function(apply, ANY_KIND, Kind.TEXT, 1, 1)


def concat(arguments: Sequence[Values], count: int) -> Values:
    """Join the texts of each row."""
    segments = [segment for values in arguments for segment in decoded_text(values).segments]
    return Values.of_text(Text(segments, count), present_rows(arguments))


def length(arguments: Sequence[Values], count: int) -> Values:
    """Count the characters of each row's text."""
    text = decoded_text(arguments[0])
    data = np.fromiter(map(len, text.strings()), np.int64, count)
    return Values(Kind.NUMBER, data, None, arguments[0].present)


def by_row(function: Callable[..., str]) -> Apply:
    """Make a function that calls ``function`` with the values of each row."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        columns = [
            values.text.strings() if values.text is not None else values.data.tolist()
            for values in arguments
        ]
        words = [function(*row) for row in zip(*columns, strict=True)]
        return Values.of_text(text_of(words), present_rows(arguments))

    return apply


def substring(text: str, start: float, length: float | None = None) -> str:
    """Return a part of ``text``; a negative ``start`` counts from the end."""
    first = max(int(start), 0) if start >= 0 else max(len(text) + int(start), 0)
    return text[first:] if length is None else text[first : first + max(int(length), 0)]


def slug(word: str) -> str:
    """Return ``word`` as in an address: ASCII letters and digits in lower case, and dashes."""
    return "-".join(latin_letters(word).split())
