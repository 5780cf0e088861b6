"""A simulator of Azure Cosmos DB for MongoDB (RU) in front of any mongod.

What it does, and the source of each behavior: docs/cosmos-simulator.md.
"""

from producer.cosmos_simulator.budget import SimulatorStatistics
from producer.cosmos_simulator.config import FaultDials, Service, SimulatorConfig, TlsFiles
from producer.cosmos_simulator.simulator import CosmosSimulator

__all__ = [
    "CosmosSimulator",
    "FaultDials",
    "Service",
    "SimulatorConfig",
    "SimulatorStatistics",
    "TlsFiles",
]
