"""The counters of a run."""

from __future__ import annotations

from enum import StrEnum


class RunCounter(StrEnum):
    """What the ledger adds up for a run. A name never changes, because recorded runs use it."""

    DOCUMENTS = "documents"  # completed at the target, or compared
    BYTES = "bytes"
    READ = "read"  # from the source
    WRITTEN = "written"
    ALREADY_THERE = "already_there"
    REPLACED = "replaced"
    SKIPPED = "skipped"
    DROPPED = "dropped"  # by a strategy
    PRODUCED = "produced"  # by a strategy, beyond one for each
    REBUILT = "rebuilt"  # acknowledged again after the ledger was lost
    THROTTLED_REQUESTS = "throttled_requests"
    RETRIED_REQUESTS = "retried_requests"
    WAITED_MILLISECONDS = "waited_milliseconds"  # for a throttled target
    REQUEST_UNITS = "request_units"  # of writes, reported by the server
    REQUEST_UNITS_ESTIMATED = "request_units_estimated"
    READ_REQUEST_UNITS = "read_request_units"
    READ_REQUEST_UNITS_ESTIMATED = "read_request_units_estimated"
    EQUAL = "equal"
    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"
    COMPARED_BY_ID = "compared_by_id"  # slices where extra documents show in the number only


DIFFERENCES = (RunCounter.MISSING, RunCounter.EXTRA, RunCounter.DIFFERENT)
"""Counters of what a verification found to differ."""


DOCUMENTS_OF = "documents:"
"""Prefix of the counter of a target collection's documents, in a migration."""


READ_OF = "read:"
"""Prefix of the counter of documents read for a target collection."""

RULE_OF = "rule:"
"""With a rule's number and an outcome after it: the counter of its values, in a migration."""
