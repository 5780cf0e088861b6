"""Text from databases and users in HTML."""

from __future__ import annotations

import re

from tornado.escape import to_unicode, xhtml_escape

_TURNS_TEXT_AROUND = re.compile("[\u202a-\u202e\u2066-\u2069]")


def page_text(value: str | bytes) -> str:
    """Escape a value for HTML, and show characters that would reverse the text around it."""
    return _TURNS_TEXT_AROUND.sub(_shown, xhtml_escape(to_unicode(value)))


def _shown(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
