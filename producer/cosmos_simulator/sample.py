"""``$sample`` as on Cosmos DB RU, where it returns the same document again (azure-docs#96119)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from producer.cosmos_simulator.wire import Command

_COPY = "_cosmos_simulator_copy"


def without_sampling(command: Command) -> Command | None:
    """Replace each ``$sample`` with a stage that repeats documents; None without a ``$sample``."""
    pipeline = command.body["pipeline"]
    if not any("$sample" in stage for stage in pipeline):
        return None
    stages = [part for stage in pipeline for part in _stages(stage)]
    return replace(command, body={**command.body, "pipeline": stages})


def _stages(stage: Any) -> list[Any]:
    """Return stages for half as many documents, each twice, cut to the requested size."""
    if "$sample" not in stage:
        return [stage]
    size = int(stage["$sample"]["size"])
    return [
        {"$sample": {"size": (size + 1) // 2}},
        {"$addFields": {_COPY: [0, 1]}},
        {"$unwind": f"${_COPY}"},
        {"$project": {_COPY: 0}},
        {"$limit": size},
    ]
