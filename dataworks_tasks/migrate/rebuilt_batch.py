"""Reassemble the documents of a batch after changes."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np

from dataworks_tasks.documents.encoded_batch import EncodedBatch, Offsets
from dataworks_tasks.migrate.document_layout import DocumentLayout
from dataworks_tasks.migrate.field_tree import FieldNode, FieldNodes
from dataworks_tasks.migrate.value_column import ValueColumn

_Piece = bytes | ValueColumn


class RebuiltBatch:
    """Documents in their old order, added as they are made.

    Their pieces are collected and joined once, so that no bytes are copied twice.
    """

    def __init__(self, count: int) -> None:
        self._pieces = np.full(count, None, dtype=object)
        self._lengths: Offsets = np.zeros(count, dtype=np.int64)

    def put(self, row: int, document: bytes) -> None:
        """Set the document at ``row``."""
        self._pieces[row] = (document,)
        self._lengths[row] = len(document)

    def put_layout(self, layout: DocumentLayout) -> None:
        """Set the documents of a layout."""
        pieces, lengths = _document(layout.fields, len(layout.rows))
        columns = [
            repeat(piece) if isinstance(piece, bytes) else piece.values()
            for piece in _merged(pieces)
        ]
        rows = zip(*columns, strict=False)
        self._pieces[layout.rows] = np.fromiter(rows, dtype=object, count=len(layout.rows))
        self._lengths[layout.rows] = lengths

    def missing(self) -> list[int]:
        """Return the rows that are not set."""
        rows: list[int] = np.flatnonzero(self._lengths == 0).tolist()
        return rows

    def batch(self) -> EncodedBatch:
        """Return all documents that were added."""
        there = self._lengths > 0
        data = b"".join(chain.from_iterable(self._pieces[there].tolist()))
        ends = np.cumsum(self._lengths[there])
        return EncodedBatch(data, np.concatenate([np.zeros(1, dtype=np.int64), ends]))


def _document(fields: FieldNodes, count: int) -> tuple[list[_Piece], Offsets]:
    """Constants and columns that make the documents, and each document's length."""
    pieces: list[_Piece] = []
    lengths: Offsets = np.full(count, 5, dtype=np.int64)
    for part in fields.parts:
        if not isinstance(part, FieldNode):
            value = part
        else:
            header = bytes((part.type,)) + part.name + b"\0"
            pieces.append(header)
            lengths += len(header)
            if part.inside is not None:
                inner, inner_lengths = _document(part.inside, count)
                pieces += inner
                lengths += inner_lengths
                continue
            value = part.value
        pieces.append(value)
        lengths += len(value) if isinstance(value, bytes) else value.lengths()
    sizes = ValueColumn.of(lengths.astype("<i4").view("V4").tolist())
    return [sizes, *pieces, b"\0"], lengths


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Merge adjacent constants, and columns that are adjacent in the source."""
    merged: list[_Piece] = []
    for piece in pieces:
        together = _together(merged[-1], piece) if merged else None
        if together is None:
            merged.append(piece)
        else:
            merged[-1] = together
    return merged


def _together(first: _Piece, second: _Piece) -> _Piece | None:
    if isinstance(first, bytes):
        return first + second if isinstance(second, bytes) else None
    return first.joined(second) if isinstance(second, ValueColumn) else None
