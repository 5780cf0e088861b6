"""Bounds that settings, commands, templates and specs share."""

from __future__ import annotations

MAX_DOCUMENTS = 10**12
"""Documents of one run, and of one template. An ``_id`` has room for a few more (2**40)."""

MAX_BATCH_SIZE = 1_000_000
"""Documents of one batch range or slice, and so of one message."""

MOST_DIFFERENCES = 200_000
"""Differences of a verification that are recorded: a ledger must not outgrow its memory."""

WRITE_CONCERN = "majority|[1-9][0-9]?"
"""The regular expression of a valid write concern."""

OUTSIDE_OPEN_TRANSACTIONS_SECONDS = 65.0
"""A transaction that is open when the writers stop commits up to 60 s later."""

SHORTEST_WEB_SECRET = 8
"""Characters of a password or a token of the page for runs."""
