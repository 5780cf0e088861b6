"""Failures without the keys and values of documents, for whoever must not see them."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from dataworks_tasks.ledger.contract import DocumentFailure

_VALUE = re.compile(r"""\{.*\}|"[^"]*"|'[^']*'|\b[0-9a-f]{24}\b""", re.DOTALL)


def hidden_reason(reason: str) -> str:
    """The reason of a failure without what could be a document's key or value."""
    return _VALUE.sub("...", reason)


def failure_json(failure: DocumentFailure, hide_keys: bool) -> dict[str, Any]:
    """A failure for machines, without the document's key where keys are hidden."""
    if not hide_keys:
        return asdict(failure)
    hidden = {"key": None, "document_id": None, "reason": hidden_reason(failure.reason)}
    return {**asdict(failure), **hidden}
