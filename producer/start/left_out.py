"""What a migration's patterns match and the migration does not copy."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.runs.namespace import BUCKETS
from dataworks_tasks.runs.spec import LeftOut, NamespacePair
from producer.start.namespace_selection import NamespaceSelection

_SERVERS_OWN = frozenset({"system.views", "system.profile", "system.namespaces", "system.indexes"})
"""The server's own collections: views and indexes are copied in another way."""


def views_to_define(selection: NamespaceSelection) -> tuple[NamespacePair, ...]:
    """Return the views that can be defined at the target."""
    return tuple(
        NamespacePair(source=view.source, target=view.target)
        for view in selection.views
        if view.problem is None
    )


def what_is_left_out(selection: NamespaceSelection, *, views: bool) -> Iterator[LeftOut]:
    """Yield the matching views and system collections that are not copied.

    ``views``: whether views are defined too.
    """
    for view in selection.views:
        if view.problem is not None:
            yield LeftOut(namespace=view.source, reason=f"the view is not defined: {view.problem}")
        elif not views:
            reason = "a view, which is not copied: add --views to define it at the target"
            yield LeftOut(namespace=view.source, reason=reason)
    copied = {pair.source for pair in selection.pairs}
    for namespace in selection.system:
        if namespace in copied or namespace.collection.startswith(BUCKETS):
            continue  # the documents of a time series, which its own name includes or excludes
        own = namespace.collection in _SERVERS_OWN
        yield LeftOut(
            namespace=namespace,
            reason="a collection that belongs to the server"
            if own
            else "system collections are not copied",
            attention=not own,
        )
