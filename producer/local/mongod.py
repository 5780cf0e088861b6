"""mongod: the target of generation, and both ends of a rehearsed migration."""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGKILL, SIGTERM

from producer.local.binaries import ServerBinary
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import run_mongo_command
from producer.local.service_definition import LOOPBACK, ServiceSite, system_environment

MONGOD_STAGE = 1
REPLICA_SET = "dataworks"
# Preallocated journal files of 100 MB suit servers: this takes 9 MB instead of 301 MB.
ENGINE_CONFIGURATION = (
    "log=(enabled=true,remove=true,path=journal,compressor=snappy,file_max=8MB,prealloc=false)"
)
# Without zlib: servers before 6.0.27 leak memory through it (CVE-2025-14847).
NETWORK_COMPRESSORS = "snappy,zstd"
NOT_YET_INITIALIZED = 94


@dataclass(frozen=True, slots=True)
class Mongod:
    """A standalone server, or a replica set of one, which has transactions and change streams."""

    binary: ServerBinary
    name: str = "mongod"
    replica_set: bool = False
    cache_gigabytes: float = 0.25

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it on loopback only, with its files in ``site.data``."""
        arguments = [
            str(self.binary.path),
            *("--dbpath", str(site.data)),
            *("--bind_ip", LOOPBACK),
            *("--port", str(site.port)),
            # A killed mongod would leave its socket file in /tmp.
            "--nounixsocket",
            *("--wiredTigerCacheSizeGB", str(self.cache_gigabytes)),
            *("--wiredTigerEngineConfigString", ENGINE_CONFIGURATION),
            *("--networkMessageCompressors", NETWORK_COMPRESSORS),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]
        if self.replica_set:
            arguments += [
                *("--replSet", REPLICA_SET),
                # A primary waits 15 s for its secondaries before it stops; there are none.
                *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
            ]
        return ChildCommand(
            name=self.name,
            arguments=tuple(arguments),
            environment=system_environment(),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(
                stage=MONGOD_STAGE,
                signal=SIGKILL if site.temporary else SIGTERM,
                orphan_signal=SIGKILL if site.temporary else SIGTERM,
            ),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether it accepts writes; this also initiates a new replica set."""
        hello = run_mongo_command(site.port, {"hello": 1})
        if hello is None:
            return False
        if self.replica_set and not hello.get("isWritablePrimary"):
            _make_primary(site.port)
        return bool(hello.get("isWritablePrimary"))

    def url(self, site: ServiceSite) -> str:
        """Return the ``mongodb://`` address, without a database."""
        # Without the replica set's name, which drivers discover: the line that users copy stays
        # short.
        return f"mongodb://{LOOPBACK}:{site.port}/"


def _make_primary(port: int) -> None:
    """Make the server the only member of its set, under the address that it has now.

    A not-ready reply is ignored: the next poll comes within milliseconds.
    """
    members = [{"_id": 0, "host": f"{LOOPBACK}:{port}"}]
    answer = run_mongo_command(port, {"replSetGetConfig": 1})
    if answer is None:
        return
    if answer.get("code") == NOT_YET_INITIALIZED:
        run_mongo_command(port, {"replSetInitiate": {"_id": REPLICA_SET, "members": members}})
    elif "config" in answer and answer["config"]["members"][0]["host"] != members[0]["host"]:
        # The data comes from an earlier run, on another port.
        config = {**answer["config"], "members": members}
        config["version"] += 1
        run_mongo_command(port, {"replSetReconfig": config, "force": True})
