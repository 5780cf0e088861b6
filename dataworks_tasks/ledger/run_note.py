"""What a person has to know about a run besides its numbers; kept when the run is complete."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class NoteTopic(StrEnum):
    """What a note is about. A step of a run replaces all notes of its topic at once."""

    SOURCE = "source"  # what the source changed while the run read it
    TARGET = "target"  # documents that the target has lost again
    RULES = "rules"  # fields that are spelled like a masked one
    INDEXES = "indexes"
    OPTIONS = "options"
    VIEWS = "views"
    LEFT_OUT = "left out"
    ALREADY_THERE = "already there"  # documents of a generation that an earlier run wrote
    DUPLICATES = "duplicates"  # documents that the target holds more than once


SCHEMA = frozenset({NoteTopic.INDEXES, NoteTopic.OPTIONS, NoteTopic.VIEWS})
"""Topics in which a note that needs attention is a difference to a verification."""


@dataclass(frozen=True, slots=True)
class RunNote:
    """A fact about a collection, or about the run if ``collection`` is empty.

    ``attention``: a person should read it, so the command ends with exit code 4.
    """

    topic: NoteTopic
    collection: str
    text: str
    attention: bool = True

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {**asdict(self), "topic": self.topic.value}

    def __str__(self) -> str:
        return f"{self.collection}: {self.text}" if self.collection else self.text


def notes_to_json(notes: Sequence[RunNote]) -> str:
    """Encode the notes of one topic as the ledger keeps them."""
    return json.dumps([[note.collection, note.text, note.attention] for note in notes])


def read_notes(kept: Mapping[str, str]) -> tuple[RunNote, ...]:
    """Return every topic's notes, in the order of ``NoteTopic``."""
    return tuple(_read(kept))


def _read(kept: Mapping[str, str]) -> Iterable[RunNote]:
    for topic in NoteTopic:
        for collection, text, attention in json.loads(kept.get(topic, "[]")):
            yield RunNote(topic, collection, text, attention)
