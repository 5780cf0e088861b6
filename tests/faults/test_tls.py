"""Everything over TLS with a private authority, and users with only the rights they need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pymongo
import pytest
import redis
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from dataworks_tasks.broker.create_app import create_app
from dataworks_tasks.errors import LedgerUnavailable, StoreUnavailable
from dataworks_tasks.ledger.connect import connect_ledger
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.create_client import create_database_client
from producer.connections import Connections
from producer.doctor.preflight import run_checks
from producer.local.celery_services import CeleryWorker, Flower
from producer.local.services import LocalServices, RunningService
from tests.fleet import Fleet, wait_until
from tests.support.certificates import CLIENT_SUBJECT, Certificates
from tests.support.exact import check_exact, generate_arguments
from tests.support.mongod_variant import MongodVariant
from tests.support.tcp_proxy import TcpProxy

TOTAL = 5000
PASSWORD = "p@ss/word:of a reader"
STORE = "FRAMEWORK_TARGET_DB_CONNECTION_STRING"
BROKER = "FRAMEWORK_BROKER_URL"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Certificates.make(folder)


@pytest.fixture
def store(own_services: LocalServices, certificates: Certificates) -> str:
    """Start a mongod that accepts TLS with a client certificate only; return its options."""
    arguments = (
        *("--tlsMode", "requireTLS", "--tlsCAFile", str(certificates.authority)),
        *("--tlsCertificateKeyFile", str(certificates.server)),
        *("--auth", "--setParameter", "authenticationMechanisms=SCRAM-SHA-256,MONGODB-X509"),
    )
    server = own_services.start(MongodVariant(arguments))[0]
    options = f"tls=true&tlsCAFile={certificates.authority}"
    return f"{server.url}?{options}&tlsCertificateKeyFile={certificates.client}"


def with_user(store: str, user: str, password: str) -> str:
    userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return store.replace("://", f"://{userinfo}") + "&authSource=admin"


@pytest.fixture
def mongo(store: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """Yield the administrator's client.

    ``writer`` may write shop, ``reader`` may read orders' copy.
    """
    with pymongo.MongoClient[dict[str, Any]](store) as first:
        first.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
    with pymongo.MongoClient[dict[str, Any]](with_user(store, "root", PASSWORD)) as client:
        read = [{"role": "read", "db": "shop"}]
        client.admin.command("createUser", "reader", pwd=PASSWORD, roles=read)
        write = [{"role": "readWrite", "db": name} for name in ("shop", "copies")]
        client["$external"].command("createUser", CLIENT_SUBJECT, roles=write)
        yield client


@pytest.fixture
def fleet_over_tls(
    own_services: LocalServices,
    store: str,
    mongo: pymongo.MongoClient[dict[str, Any]],
    redis_url: str,
    redis_client: redis.Redis,
    certificates: Certificates,
    tmp_path: Path,
) -> Iterator[Fleet]:
    with TcpProxy.before(redis_url, certificates.server_context()) as proxy:
        files = f"ssl_certfile={certificates.client}&ssl_keyfile={certificates.client}"
        secured = proxy.url(redis_url).replace("redis://", "rediss://") + "?"
        environment = {
            BROKER: f"{secured}ssl_ca_certs={certificates.authority}&{files}",
            STORE: store + "&authMechanism=MONGODB-X509",
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": with_user(store, "reader", PASSWORD),
            "FRAMEWORK_SOURCE_DB_NAME": "shop",
            "FRAMEWORK_TARGET_DB_NAME": "copies",
            "FRAMEWORK_STALL_SECONDS": "2",
        }

        def start_worker(concurrency: int = 1) -> RunningService:
            return own_services.start(CeleryWorker(environment, "worker", concurrency))[0]

        made = Fleet(environment, redis_client, mongo, "shop", tmp_path, start_worker)
        yield made
        made.close()


def test_runs_over_tls_with_certificates_for_passwords(
    fleet_over_tls: Fleet, own_services: LocalServices
) -> None:
    fleet = fleet_over_tls
    fleet.start_worker(2)
    own_services.start(Flower(fleet.environment))
    fleet.run("doctor")
    run_id = str(fleet.run_json(*generate_arguments(fleet, TOTAL))["run"])
    check_exact(fleet, run_id, TOTAL)
    places = ("--include", "shop.orders", "--to", "copies.orders")
    copied = fleet.run_json("migrate", *places, "--batch-size", 500, "--verify")
    assert fleet.ledger.progress(str(copied["run"])).state is RunState.COMPLETE
    written = fleet.raw_documents("orders")
    fleet.database = "copies"
    assert fleet.raw_documents("orders") == written
    flower = own_services.urls()["flower"]
    wait_until(lambda: "worker@" in page(flower), "Flower sees it")
    assert ">dataworks<" in page(flower + "broker").replace("\n", "").replace(" ", "")


def page(url: str) -> str:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - our own Flower
        return str(answer.read().decode())


@pytest.fixture
def wrong(fleet_over_tls: Fleet, certificates: Certificates) -> dict[str, FrameworkConfig]:
    """Return settings that must not connect anybody, by what is wrong with them."""
    broker, store = (fleet_over_tls.environment[name] for name in (BROKER, STORE))
    bare, patience = broker.partition("?")[0], "&serverSelectionTimeoutMS=500"
    authority, other = str(certificates.authority), str(certificates.other_authority)
    places = {
        "an unknown authority": (broker.replace(authority, other), store.replace(authority, other)),
        "the system's authorities": (bare, store.replace(f"&tlsCAFile={authority}", "")),
        "another host": (
            broker.replace("127.0.0.1", "localhost"),
            store.replace("127.0.0.1", "localhost"),
        ),
        "plain text": (bare.replace("rediss", "redis"), store.partition("?")[0] + "?tls=false"),
        "no certificate": (
            broker.partition("&ssl_certfile")[0],
            store.partition("&tlsCertificateKeyFile")[0],
        ),
    }
    return {
        name: FrameworkConfig(
            broker_url=SecretStr(urls[0]),
            target=DatabaseConfig(connection_string=SecretStr(urls[1] + patience)),
        )
        for name, urls in places.items()
    }


def check_refused(config: FrameworkConfig) -> None:
    """Ledger, broker and database all refuse it, for producer, worker and Flower."""
    with pytest.raises(LedgerUnavailable):
        connect_ledger(config).ping()
    app = create_app(config)
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(max_retries=1, interval_start=0)
    app.close()
    assert config.target is not None
    with create_database_client(config.target) as client, pytest.raises(StoreUnavailable):
        client.server_info()


def test_nobody_talks_to_a_server_that_is_not_the_right_one(
    fleet_over_tls: Fleet, wrong: dict[str, FrameworkConfig]
) -> None:
    with ThreadPoolExecutor() as threads:
        list(threads.map(check_refused, wrong.values()))
    fleet = fleet_over_tls
    right = fleet.environment[BROKER]
    untrusted = wrong["an unknown authority"]
    assert untrusted.target is not None
    store = untrusted.target.connection_string.get_secret_value()
    for broker, remedy in (
        (untrusted.broker_url.get_secret_value(), "?ssl_ca_certs=FILE"),
        (right, "tlsCAFile=FILE"),
    ):
        fleet.environment |= {BROKER: broker, STORE: store}
        done = fleet.run(*generate_arguments(fleet, 10), check=False)
        text = " ".join(done.stderr.split())
        assert done.returncode == 2
        assert "certificate verify failed" in text
        assert remedy in text
        assert len(text) < 500, text
    assert fleet.ledger.run_ids() == []


@pytest.mark.parametrize("asks", ["redis", "rediss"])
def test_a_redis_that_speaks_tls_or_not_is_called_so_at_once(
    redis_url: str, certificates: Certificates, asks: str
) -> None:
    with TcpProxy.before(redis_url, certificates.server_context()) as secured:
        url = secured.url(redis_url) if asks == "redis" else redis_url.replace("redis", "rediss", 1)
        words = "accepts only TLS" if asks == "redis" else "does not use TLS"
        for config in (
            FrameworkConfig(broker_url=SecretStr(url)),
            FrameworkConfig(broker_url=SecretStr(url), ledger_url=SecretStr(redis_url)),
        ):
            began = time.monotonic()
            with Connections(config) as connections:
                found = {check.name: check.found for check in run_checks(connections)}
            assert time.monotonic() - began < 5
            assert words in found["broker" if config.ledger_url else "redis"]
            assert "not checked" in found["workers"]


def srv_resolver() -> Any:
    """Return the driver's own: PyMongo 4.10.1 has it in another module."""
    for name in ("pymongo.synchronous.srv_resolver", "pymongo.srv_resolver"):
        if find_spec(name):
            return import_module(name)._SrvResolver
    raise AssertionError("this driver has no _SrvResolver")


def test_an_srv_address_means_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DNS: what the driver makes of the answer that Atlas gives."""
    resolver = srv_resolver()
    monkeypatch.setattr(resolver, "get_hosts", lambda _: [("127.0.0.1", 1)])
    monkeypatch.setattr(resolver, "get_options", lambda _: None)
    address = SecretStr("mongodb+srv://me:pw@cluster0.abcde.mongodb.net/")
    config = FrameworkConfig(target=DatabaseConfig(connection_string=address))
    assert config.target is not None
    with create_database_client(config.target) as client:
        if resolve := getattr(client.mongo, "_resolve_srv", None):  # PyMongo 4.10.1 has done it
            resolve()
        assert client.mongo.options.pool_options._ssl_context is not None
