"""The configuration of a simulator: frozen values, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType

from dataworks_tasks.errors import SettingsError

WIRE_VERSIONS: Mapping[str, int] = MappingProxyType(
    {"3.6": 6, "4.0": 7, "4.2": 8, "5.0": 13, "6.0": 17, "7.0": 21}
)
"""Cosmos DB server version -> ``maxWireVersion`` (docs/cosmos-facts.md section 1)."""

TWO_MEGABYTES = 2 * 1024 * 1024
"""The largest document of an account without the 16 MB option, measured as JSON."""


@dataclass(frozen=True, slots=True)
class FaultDials:
    """The share (0 to 1) of data requests that each fault hits. All off by default.

    Data requests are those that cost request units: reads and writes of documents.
    """

    throttle_share: float = 0.0
    """Answered with 16500 although the budget suffices; a bulk write is executed in part."""

    document_throttle_share: float = 0.0
    """Documents of bulk writes that are refused with 16500, each by itself."""

    omit_retry_after_share: float = 0.0
    """The share of throttled answers whose text has no ``RetryAfterMs``."""

    legacy_throttle_share: float = 0.0
    """The share of throttled commands answered in the older ``OKMongoResponse``/``$err`` shape."""

    cursor_cut_share: float = 0.0
    """``getMore`` requests answered with 43 CursorNotFound; the cursor is gone for good."""

    drop_before_share: float = 0.0
    """Requests whose connection is closed before anything reached the database."""

    drop_after_share: float = 0.0
    """Requests that were executed, and whose connection is closed instead of an answer."""

    timeout_after_write_share: float = 0.0
    """Writes that were executed and answered with 50 ExceededTimeLimit."""

    unavailable_share: float = 0.0
    """Requests answered with code 1 (service unavailable, 503) before they were executed."""

    latency_ms: float = 0.0
    """Milliseconds that each data request's answer is held back."""

    statement_us: float = 0.0
    """Microseconds that the account takes for each statement of a write, whether it is accepted or
    refused: the answer comes no sooner."""

    seed: int = 0
    """Same seed and same order of requests: the same faults."""

    def __post_init__(self) -> None:
        for dial in fields(self):
            value = getattr(self, dial.name)
            if dial.name.endswith("_share") and not 0.0 <= value <= 1.0:
                raise SettingsError(f"{dial.name} is {value}", "Give a share between 0 and 1")
        if self.latency_ms < 0:
            raise SettingsError(f"latency_ms is {self.latency_ms}", "Give milliseconds, 0 or more")
        if self.statement_us < 0:
            raise SettingsError(
                f"statement_us is {self.statement_us}", "Give microseconds, 0 or more"
            )


HISTORY_BYTES = 400 * 1024 * 1024
"""What Azure DocumentDB keeps of its changes."""


class Service(StrEnum):
    """Which service is simulated."""

    COSMOS_DB = "cosmos-db"  # request units
    AZURE_DOCUMENTDB = "azure-documentdb"  # formerly Cosmos DB for MongoDB vCore


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of a PEM certificate chain and its private key."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How a simulator behaves. ``target`` is the mongod behind it: ``mongodb://host:port``."""

    target: str
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""

    ru_per_second: float | None = None
    """The budget of the whole account in request units per second; None: without limit."""

    server_version: str = "6.0"
    """One of ``WIRE_VERSIONS``."""

    max_document_bytes: int = TWO_MEGABYTES
    """The largest document, measured as relaxed Extended JSON; 16 MB is an option of an account."""

    idle_seconds: float = 240.0
    """A connection without a request for this long is closed."""

    partitioned_ids: bool = False
    """Whether the ``_id``s of a sharded collection are unique for each value of its shard key only,
    as in an account. Its documents are kept in mongod's database ``local`` then."""

    service: Service = Service.COSMOS_DB
    change_streams: bool = False
    """Whether collections have change streams.

    For this, documents are read before and after each write.
    """

    physical_partitions: int = 2
    """Partitions of a change feed; a document's depends on its shard key, else on its _id."""

    change_history_bytes: int = HISTORY_BYTES
    """How much of its changes Azure DocumentDB keeps."""

    faults: FaultDials = field(default_factory=FaultDials)
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        if self.server_version not in WIRE_VERSIONS:
            raise SettingsError(
                f"server version {self.server_version!r} is not one of Cosmos DB's",
                "Give one of " + ", ".join(WIRE_VERSIONS),
            )
        if self.ru_per_second is not None and self.ru_per_second <= 0:
            raise SettingsError(
                f"a budget of {self.ru_per_second} RU/s", "Give more than 0, or none for no limit"
            )

    @property
    def wire_version(self) -> int:
        """The ``maxWireVersion`` that hello reports."""
        return WIRE_VERSIONS[self.server_version]
