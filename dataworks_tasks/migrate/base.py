"""The public base class of migration strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bson import decode

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT, assemble, element_bytes
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.migrate.lazy_document import LazyDocument
from dataworks_tasks.scan.slice import Slice

Document = dict[str, Any]


class BaseMigrationStrategy:
    """How each document is changed on its way, and along which field documents are read.

    Subclass it, set ``name``, override ``transform_document``, and register the class with
    ``MigrationStrategyFactory``. One instance serves several threads, so keep no state between
    calls. The result for a document must always be the same: a range may be copied twice, and
    ``dataworks verify`` changes its documents once more to compare them. A strategy that overrides
    nothing copies raw bytes.
    """

    name = ""
    resume_field = "_id"
    """The field along which slices are cut: indexed, not sparse, and no arrays in it."""

    def transform_document(self, document: Document) -> Document | Sequence[Document] | None:
        """Return what to write for ``document``: a document, several, or None to drop it.

        ``document`` is a dict that decodes a field when it is first used; untouched fields keep
        their bytes. A returned document without ``_id`` gets one derived from the source's ``_id``.
        An exception is recorded as the failure of this document.
        """
        return document

    def read_batch(self, batch: EncodedBatch) -> Iterator[Document]:
        """Yield one document for each document of a raw batch, for ``transform_document``.

        Override it to decode differently, or to fetch related data for the batch at once.
        """
        yield from map(LazyDocument, batch.documents())

    def get_resume_point(self, ledger: Ledger, run_id: str) -> Any:
        """Return the value of ``resume_field`` below which everything is at the target.

        None means that nothing is at the target yet, or that everything is.
        """
        gap = next(ledger.gaps(run_id), None)
        if gap is None:
            return None
        data = ledger.slices(run_id, gap).get(gap.start)
        lower = Slice.from_bytes(data).lower if data is not None else None
        if lower is None:
            return None
        return decode(assemble([element_bytes(lower, b"v")]), codec_options=TOLERANT)["v"]

    @property
    def copies_raw(self) -> bool:
        """Whether documents pass as bytes, because no code here looks at them."""
        base = BaseMigrationStrategy
        return (
            type(self).transform_document is base.transform_document
            and type(self).read_batch is base.read_batch
        )


class DefaultStrategy(BaseMigrationStrategy):
    """Copies every document as it is, in the order of _id."""

    name = "default"


class DateBasedStrategy(BaseMigrationStrategy):
    """Copies every document as it is, oldest first; date-based:FIELD names the date field.

    The field is ``created_at`` if none is named. Documents without it come first.
    """

    name = "date-based"

    def __init__(self, field: str = "created_at") -> None:
        self.resume_field = field
