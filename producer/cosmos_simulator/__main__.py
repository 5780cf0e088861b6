"""``python -m producer.cosmos_simulator``: the simulator as a process."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields

from dataworks_tasks.errors import DataWorksError
from producer.cosmos_simulator.config import (
    HISTORY_BYTES,
    TWO_MEGABYTES,
    WIRE_VERSIONS,
    FaultDials,
    Service,
    SimulatorConfig,
    TlsFiles,
)
from producer.cosmos_simulator.simulator import CosmosSimulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. The first line on stdout is JSON with the URL."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        simulator = CosmosSimulator(_config(options))
        url = simulator.start()
    except (DataWorksError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    described = {
        "url": url,
        "ru_per_second": options.ru,
        "server_version": options.server_version,
    }
    sys.stdout.write(json.dumps(described) + "\n")
    sys.stdout.flush()
    stop.wait()
    simulator.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m producer.cosmos_simulator",
        description="Azure Cosmos DB for MongoDB (RU), simulated in front of a mongod.",
    )
    parser.add_argument("--target", required=True, help="the mongod behind it: mongodb://host:port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--ru", type=float, help="budget in RU/s; without it there is no limit")
    parser.add_argument("--server-version", default="6.0", choices=list(WIRE_VERSIONS))
    parser.add_argument("--max-document-bytes", type=int, default=TWO_MEGABYTES)
    parser.add_argument(
        "--partitioned-ids",
        action="store_true",
        help="_id is unique only within each value of the shard key",
    )
    parser.add_argument(
        "--service", default=Service.COSMOS_DB.value, choices=[item.value for item in Service]
    )
    parser.add_argument("--change-streams", action="store_true", help="collections have them")
    parser.add_argument(
        "--change-history-bytes",
        type=int,
        default=HISTORY_BYTES,
        help="how much of its changes Azure DocumentDB keeps",
    )
    parser.add_argument("--tls-cert", help="PEM certificate chain; with --tls-key")
    parser.add_argument("--tls-key", help="PEM private key")
    for dial in fields(FaultDials):
        flag = "--" + dial.name.replace("_", "-")
        parser.add_argument(flag, type=type(dial.default), default=dial.default)
    return parser


def _config(options: argparse.Namespace) -> SimulatorConfig:
    tls = None
    if options.tls_cert or options.tls_key:
        tls = TlsFiles(options.tls_cert or options.tls_key, options.tls_key or options.tls_cert)
    return SimulatorConfig(
        target=options.target,
        host=options.host,
        port=options.port,
        ru_per_second=options.ru,
        server_version=options.server_version,
        max_document_bytes=options.max_document_bytes,
        partitioned_ids=options.partitioned_ids,
        service=Service(options.service),
        change_streams=options.change_streams,
        change_history_bytes=options.change_history_bytes,
        faults=FaultDials(
            **{dial.name: getattr(options, dial.name) for dial in fields(FaultDials)}
        ),
        tls=tls,
    )


if __name__ == "__main__":
    sys.exit(main())
