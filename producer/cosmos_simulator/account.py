"""What all connections of a simulated account share."""

from __future__ import annotations

from dataclasses import dataclass

from producer.cosmos_simulator.budget import RequestUnitBudget
from producer.cosmos_simulator.catalog import Catalog
from producer.cosmos_simulator.change_streams import ChangeStreams
from producer.cosmos_simulator.config import SimulatorConfig
from producer.cosmos_simulator.faults import Faults
from producer.cosmos_simulator.result_pages import ResultPages


@dataclass(frozen=True, slots=True)
class Account:
    """One simulated account; its parts are used on the event loop's thread only."""

    config: SimulatorConfig
    address: str
    """The simulator's own ``host:port``, as hello reports it."""

    budget: RequestUnitBudget
    faults: Faults
    catalog: Catalog
    pages: ResultPages
    streams: ChangeStreams
