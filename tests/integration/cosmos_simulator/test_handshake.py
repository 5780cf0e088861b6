"""The greeting, in raw bytes as an old driver sends it and through PyMongo."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient
from pymongo.common import MIN_SUPPORTED_WIRE_VERSION

from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig, TlsFiles
from producer.cosmos_simulator.config import WIRE_VERSIONS
from producer.cosmos_simulator.wire import Command, encode_command

Client = MongoClient[dict[str, Any]]


def exchange(simulator: CosmosSimulator, *messages: bytes) -> list[bytes]:
    """Send messages over one new connection; the answers. Empty: the connection was closed."""
    host, port = simulator.url.removeprefix("mongodb://").split("/")[0].split(":")
    answers = []
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        stream = connection.makefile("rb")
        for message in messages:
            connection.sendall(message)
            try:
                head = stream.read(4)
                answers.append(
                    head + stream.read(struct.unpack("<i", head)[0] - 4) if head else b""
                )
            except ConnectionResetError:
                answers.append(b"")
    return answers


def op_query(document: dict[str, Any]) -> bytes:
    payload = struct.pack("<i", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1)
    payload += bson.encode(document)
    return struct.pack("<iiii", 16 + len(payload), 5, 0, 2004) + payload


def op_msg(document: dict[str, Any]) -> bytes:
    return encode_command(Command(6, 0, document))


@pytest.mark.parametrize(("version", "wire"), WIRE_VERSIONS.items())
def test_hello_of_each_server_version(start_simulator: Any, version: str, wire: int) -> None:
    simulator: CosmosSimulator = start_simulator(server_version=version)
    greeting = {"isMaster": 1, "helloOk": True, "compression": ["zlib"]}
    legacy, modern, info = exchange(
        simulator,
        op_query(greeting),
        op_msg({**greeting, "$db": "admin"}),
        op_msg({"buildInfo": 1, "$db": "admin"}),
    )
    assert struct.unpack_from("<iiii", legacy)[2:] == (5, 1)
    assert struct.unpack_from("<iiii", modern)[2:] == (6, 2013)
    address = simulator.url.removeprefix("mongodb://").split("/")[0]
    for answer in (bson.decode(legacy[36:]), bson.decode(modern[21:])):
        assert answer["maxWireVersion"] == wire
        assert answer["_t"] == "IsMasterResponse"
        assert answer["setName"] == "globaldb"
        assert answer["hosts"] == [address]
        assert answer["maxBsonObjectSize"] == 16777216
        assert answer["maxWriteBatchSize"] == 1000
        assert answer.get("helloOk", False) is (wire >= 13)
        assert {"logicalSessionTimeoutMinutes", "compression", "topologyVersion"}.isdisjoint(answer)
    assert bson.decode(info[21:])["version"] == f"{version}.0"


@pytest.mark.parametrize(
    "version",
    [name for name, wire in WIRE_VERSIONS.items() if wire >= MIN_SUPPORTED_WIRE_VERSION],
)
def test_pymongo_connects_and_sends_no_session(
    start_simulator: Any,
    connect: Callable[[CosmosSimulator], Client],
    database_name: str,
    version: str,
) -> None:
    client = connect(start_simulator(server_version=version))
    collection = client[database_name]["c"]
    collection.insert_one({"_id": 1})
    assert collection.find_one() == {"_id": 1}
    assert client.topology_description.replica_set_name == "globaldb"
    assert client.topology_description.logical_session_timeout_minutes is None


def test_other_opcodes_and_broken_bytes_end_the_connection(start_simulator: Any) -> None:
    simulator: CosmosSimulator = start_simulator()
    compressed = struct.pack("<iiii", 16, 1, 0, 2012)
    nonsense = struct.pack("<iiii", 2**31 - 1, 1, 0, 2013)
    truncated = struct.pack("<iiii", 18, 1, 0, 2013) + b"\0\0"
    for message in (compressed, nonsense, truncated):
        assert exchange(simulator, message) == [b""]
    (refused,) = exchange(simulator, op_query({"find": "c"}))
    assert bson.decode(refused[36:])["code"] == 352
    (alive,) = exchange(simulator, op_msg({"ping": 1, "$db": "admin"}))
    assert bson.decode(alive[21:])["ok"] == 1


def test_a_command_without_its_fields_is_an_error_and_no_more(start_simulator: Any) -> None:
    simulator: CosmosSimulator = start_simulator()
    commands: list[dict[str, Any]] = [
        {"getMore": bson.Int64(7)},
        {"customAction": "CreateCollection"},
        {"shardCollection": "d.c"},
        {"createIndexes": "c"},
        {"update": "c", "updates": [{"u": {}}]},
        {"insert": "c"},
        {"noSuchCommand": 1},
    ]
    answers = exchange(simulator, *(op_msg({**command, "$db": "d"}) for command in commands))
    assert [bson.decode(answer[21:])["ok"] for answer in answers] == [0] * len(commands)


def test_an_idle_connection_is_closed(start_simulator: Any) -> None:
    simulator: CosmosSimulator = start_simulator(idle_seconds=0.1)
    host, port = simulator.url.removeprefix("mongodb://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        assert connection.recv(1) == b""


def test_a_taken_port_is_an_error(start_simulator: Any, mongodb_url: str) -> None:
    simulator: CosmosSimulator = start_simulator()
    port = int(simulator.url.removeprefix("mongodb://").split("/")[0].split(":")[1])
    with pytest.raises(OSError, match="address already in use"):
        CosmosSimulator(SimulatorConfig(mongodb_url, port=port)).start()


def test_stop_closes_every_connection(mongodb_url: str) -> None:
    simulator = CosmosSimulator(SimulatorConfig(mongodb_url))
    simulator.stop()
    simulator.start()
    host, port = simulator.url.removeprefix("mongodb://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(op_msg({"ping": 1, "$db": "admin"}))
        assert connection.recv(4)
        simulator.stop()
        while connection.recv(4096):
            pass
    simulator.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)


def test_tls(start_simulator: Any, tmp_path: Path, database_name: str) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    simulator: CosmosSimulator = start_simulator(tls=TlsFiles(certificate, key))
    with MongoClient[dict[str, Any]](simulator.url, tlsCAFile=certificate) as client:
        client[database_name]["c"].insert_one({"_id": 1})
        assert client[database_name]["c"].count_documents({}) == 1


def test_as_a_process(mongodb_url: str, database_name: str) -> None:
    command = [sys.executable, "-m", "producer.cosmos_simulator", "--target", mongodb_url]
    options = ["--port", "0", "--ru", "4000", "--server-version", "7.0", "--latency-ms", "1"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            described = json.loads(process.stdout.readline())
            assert described["ru_per_second"] == 4000
            with MongoClient[dict[str, Any]](described["url"]) as client:
                client[database_name]["c"].insert_one({"_id": 1})
                counted = client.admin.command("cosmosSimulatorStatistics")
            assert counted["total_ru"] == pytest.approx(5.5)
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0


def test_bad_options_name_the_fix(mongodb_url: str) -> None:
    command = [sys.executable, "-m", "producer.cosmos_simulator", "--target", mongodb_url]
    done = subprocess.run(
        [*command, "--throttle-share", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "throttle_share is 2.0. Give a share between 0 and 1" in done.stderr
