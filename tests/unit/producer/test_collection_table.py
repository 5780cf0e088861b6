"""All collections of a run: the busiest first, and no document uncounted."""

from __future__ import annotations

import io

from rich.console import Console

from producer.view.live_snapshot import CollectionProgress
from producer.view.render import collection_rows, collection_table

DONE = CollectionProgress("s.done", 100, 100)
SLOW = CollectionProgress("s.slow", 10, 100, 5.0)
FAST = CollectionProgress("s.fast", 20, 100, 50.0)
BEGUN = CollectionProgress("s.begun", 30, 100)
NEXT = CollectionProgress("s.next", 0, 100)
UNPLANNED = CollectionProgress("s.unplanned", 0, None)
EMPTY = CollectionProgress("s.empty", 0, 0)
ALL = (DONE, SLOW, UNPLANNED, NEXT, FAST, EMPTY, BEGUN)


def test_the_busiest_come_first() -> None:
    names = [row.name for row in collection_rows(ALL, 10)]
    assert names[:3] == ["s.fast", "s.slow", "s.begun"]
    assert set(names[3:5]) == {"s.next", "s.unplanned"}
    assert set(names[5:]) == {"s.done", "s.empty"}


def test_the_rest_is_a_sum() -> None:
    *shown, rest = collection_rows(ALL, 3)
    assert [row.name for row in shown] == ["s.fast", "s.slow"]
    assert (rest.name, rest.documents, rest.total) == ("and 5 more", 130, 300)
    assert sum(row.documents for row in (*shown, rest)) == sum(row.documents for row in ALL)
    assert len(collection_rows(ALL, 7)) == 7


def test_a_look_shows_each_with_its_share() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(collection_table(ALL, 50))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["s.fast", "20", "of", "100", "20%"]
    assert ["s.unplanned", "0", "of", "?"] in lines
    assert ["s.empty", "0", "of", "0", "100%"] in lines
    assert len(lines) == 7
