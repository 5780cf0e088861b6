"""Create a run's collections with the compressor and the shard key that their template names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.generate.templates.template import CollectionTemplate
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_collection import CollectionLayout, create_collection, is_there
from dataworks_tasks.store.retrying import retry_while_throttled

log = logging.getLogger(__name__)


def create_as_template_says(
    target: BaseDatabaseClient, template: CollectionTemplate, namespace: Namespace
) -> None:
    """Create the collection with the template's compressor, ``options`` and ``shardConfig``.

    An existing collection is not changed. Features that the server lacks are left out with a
    warning, so that a template works on a laptop as on a cluster. Raises UsageError when the server
    refuses the values.
    """
    asked = template.compression_level or template.options or template.shard_config
    if not asked or is_there(target, namespace):
        return
    command = target.capabilities.collection_command
    if template.compression_level or template.options:
        if command is CollectionCommand.CUSTOM_ACTION:
            ignored = "compressionLevel and options" if template.options else "compressionLevel"
            log.warning("%s: this server has no %s, so it is ignored", namespace, ignored)
        else:
            _create(target, namespace, template)
    if template.shard_config is None:
        return
    if command is CollectionCommand.NONE:
        log.warning("%s: the target is not sharded, so shardConfig is ignored", namespace)
    elif command is CollectionCommand.CUSTOM_ACTION:
        create_collection(target, namespace, _layout(namespace, template.shard_config))
    else:
        _shard(target, namespace, template.shard_config)
    target.forget_shard_key(namespace)


def _layout(namespace: Namespace, shard_config: Mapping[str, Any]) -> CollectionLayout:
    first, *more = shard_config["key"]
    if more:
        raise UsageError(
            f"{namespace} cannot be sharded: this server's shard keys have one field",
            "Shorten shardConfig.key in the template, or give --shard-key FIELD",
        )
    return CollectionLayout(shard_key=first)


def _create(target: BaseDatabaseClient, namespace: Namespace, template: CollectionTemplate) -> None:
    command = {"create": namespace.collection, **template.options}
    if template.compression_level:
        engine = {"configString": f"block_compressor={template.compression_level}"}
        command["storageEngine"] = {"wiredTiger": engine}
    refused = "options" if template.options else "compressionLevel"
    _run(target, namespace.database, command, f"{namespace} cannot have these {refused}")


def _shard(
    target: BaseDatabaseClient, namespace: Namespace, shard_config: Mapping[str, Any]
) -> None:
    # Needed before MongoDB 6.0 and unknown to Azure DocumentDB; the next command reports any
    # problem
    with suppress(TerminalError):
        target.command("admin", {"enableSharding": namespace.database})
    options = {name: value for name, value in shard_config.items() if name != "shardCollection"}
    command = {"shardCollection": str(namespace), **options}
    _run(target, "admin", command, f"{namespace} cannot be sharded by its shardConfig")


def _run(
    target: BaseDatabaseClient, database: str, command: Mapping[str, Any], refusal: str
) -> None:
    try:
        retry_while_throttled(lambda: target.command(database, command))
    except TerminalError as error:
        raise UsageError(
            f"{refusal}: {error.fact}", "Change it in the template, or leave it out"
        ) from None
