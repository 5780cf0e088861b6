"""Change the limits of a run while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.run_limits import RunLimits, limits_of
from dataworks_tasks.runs.spec import RunSpec
from producer.connections import Connections
from producer.start.new_spec import request_unit_limits


def change_limits(
    connections: Connections, run_id: str, wanted: Mapping[str, float | None]
) -> RunLimits:
    """Set the limits in ``wanted``, None for no limit, and keep the others; return all of them.

    Workers notice within two seconds. Raises UsageError for a run that is over, and for request
    units of a server that does not count them; the databases are reached for that alone.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    limits = limits_of(ledger, spec)
    if not wanted:
        return limits
    changed = {name: value for name, value in wanted.items() if value is None or name == "max_rate"}
    if changed.keys() != wanted.keys():
        changed |= _request_units(connections, spec, wanted)
    limits = replace(limits, **changed)
    if not ledger.change_limits(run_id, limits):
        raise UsageError(
            f"run {run_id} is {ledger.state(run_id)}, so a limit would have no effect",
            f"See it with: dataworks status {run_id}",
        )
    return limits


def _request_units(
    connections: Connections, spec: RunSpec, wanted: Mapping[str, float | None]
) -> dict[str, float]:
    """Return the limits on request units, of servers that count them."""
    connections.check_servers(spec)
    source = connections.source if spec.source_fingerprint is not None else None
    max_ru, source_max_ru = request_unit_limits(
        wanted.get("max_ru"), wanted.get("source_max_ru"), connections.target, source
    )
    if max_ru is not None and not connections.target.capabilities.request_charge:
        raise UsageError(
            "the target is not a Cosmos DB account, so writing to it costs no request units",
            f"Limit documents instead: dataworks rate {spec.run_id} --max-rate R",
        )
    found = {"max_ru": max_ru, "source_max_ru": source_max_ru}
    return {name: value for name, value in found.items() if value is not None}
