"""Columns of text: their values in expressions and documents follow from ``text``."""

from __future__ import annotations

from abc import abstractmethod

from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, Text, Values
from dataworks_tasks.generate.fields.encoded import Encoded, encode_text
from dataworks_tasks.generate.fields.model import Column


class TextColumn(Column):
    """Makes texts."""

    kind = Kind.TEXT

    @abstractmethod
    def text(self, rows: Rows) -> Text:
        """Return the text of every row."""

    def values(self, rows: Rows) -> Values:
        return Values.of_text(self.text(rows))

    def encode(self, rows: Rows) -> Encoded:
        return encode_text(self.text(rows))
