"""What matched a migration's patterns and is not copied."""

from __future__ import annotations

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from producer.start.left_out import what_is_left_out
from producer.start.namespace_selection import NamespaceSelection

ORDERS = NamespacePair(source=Namespace("shop", "orders"), target=Namespace("copy", "orders"))


def test_a_time_series_that_was_excluded_needs_no_attention() -> None:
    """Its buckets match the pattern that its own name is excluded from."""
    buckets = Namespace("shop", "system.buckets.readings")
    assert list(what_is_left_out(NamespaceSelection((ORDERS,), (), (buckets,)), views=False)) == []


def test_a_system_collection_needs_attention_unless_it_is_the_servers_own() -> None:
    names = (Namespace("shop", "system.js"), Namespace("shop", "system.views"))
    left = list(what_is_left_out(NamespaceSelection((ORDERS,), (), names), views=False))
    assert [(one.namespace, one.attention) for one in left] == [(names[0], True), (names[1], False)]
