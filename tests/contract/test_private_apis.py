"""Every part of a library that DataWorks uses and that library does not promise.

One list, with the reason for each and a test against the installed version: a release that moves
one of them fails here, by name, and not as a hang or a lost message. The upper bounds in
pyproject.toml (kombu, redis, PyMongo, Celery) are there because of this list.
"""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import bson
import pymongo
import pytest
from billiard.pool import Pool, Worker
from bson.raw_bson import RawBSONDocument
from celery.concurrency.prefork import TaskPool
from celery.exceptions import Reject, Retry, TaskPredicate
from celery.worker.request import Request
from dotenv.parser import parse_stream
from faker import Faker
from faker.generator import Generator
from faker.providers import BaseProvider
from kombu import Connection
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from pymongo import ReadPreference
from pymongo.command_cursor import CommandCursor
from pymongo.cursor import RawBatchCursor
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError
from pymongo.synchronous.change_stream import (
    ChangeStream,
    ClusterChangeStream,
    DatabaseChangeStream,
)
from redis import Redis

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.checked_transport import (
    CheckedChannel,
    CheckedConnection,
    CheckedQoS,
    CheckedRedis,
    CheckedSentinelChannel,
    CheckedSentinelTransport,
    CheckedTransport,
)
from dataworks_tasks.broker.create_app import create_app
from dataworks_tasks.broker.server_clock import ServerClock
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.migrate.lazy_document import LazyDocument
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.insert_command import DocumentSequence
from dataworks_tasks.store.raw_batches import RawBatches, reply_with_stream
from dataworks_tasks.store.wire_versions import too_old_server
from dataworks_tasks.store.write_fence import _FencedSession
from dataworks_tasks.worker.consumer import PromptConsumer

CHANNEL: Any = kombu_redis.Channel
WORKER: Any = Worker
DOCUMENT = bson.encode({"_id": 1, "a": "b"})


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_kombu_channels_read_by_the_methods_that_are_guarded() -> None:
    """broker/checked_transport.py: one message that is not JSON would end a worker."""
    assert _parameters(CHANNEL._handle_message) == ["self", "client", "r"]
    assert _parameters(CHANNEL._get_client) == ["self"]
    assert _parameters(CHANNEL._create_client) == ["self", "asynchronous"]
    for checked in (CheckedChannel, CheckedSentinelChannel):
        assert checked._handle_message is not CHANNEL._handle_message
        assert checked._get_client is not CHANNEL._get_client
        assert checked._create_client is not CHANNEL._create_client
    source = inspect.getsource(CHANNEL)
    assert "self._handle_message(" in source
    assert "self._get_client()" in source
    assert "self._create_client()" in inspect.getsource(CHANNEL.conn_or_acquire)
    reading = inspect.getsource(CHANNEL._brpop_read)
    assert "parse_response(" in reading
    assert "BRPOP" in reading


def test_kombu_asks_the_class_for_its_record_of_deliveries() -> None:
    """broker/checked_transport.py: a failpoint around taking a message off the queue."""
    assert CheckedChannel.QoS is CheckedQoS
    assert issubclass(CheckedQoS, kombu_redis.QoS)
    assert _parameters(kombu_redis.QoS.ack) == ["self", "delivery_tag"]
    assert "self.QoS(self)" in inspect.getsource(virtual.Channel)


def test_kombu_reads_the_time_by_one_name() -> None:
    """broker/checked_transport.py: deliveries are compared in the time of the server."""
    assert isinstance(vars(kombu_redis)["time"], ServerClock)
    for method in (kombu_redis.QoS.append, kombu_redis.QoS.restore_visible):
        assert "time()" in inspect.getsource(method)
    parameters = ["self", "start", "num", "interval"]
    assert _parameters(kombu_redis.QoS.restore_visible) == parameters
    assert _parameters(kombu_redis.QoS.append) == ["self", "message", "delivery_tag"]


@pytest.mark.parametrize(
    ("address", "transport"),
    [
        ("redis://h/0", CheckedTransport),
        ("rediss://h/0", CheckedTransport),
        ("sentinel://h/0", CheckedSentinelTransport),
    ],
)
def test_kombu_takes_the_transport_from_the_connection(address: str, transport: type) -> None:
    """broker/checked_transport.py: the guard is in the class of the connection."""
    connection = CheckedConnection(address)
    assert connection.get_transport_cls() is transport
    assert isinstance(connection.transport, transport)
    assert issubclass(transport, Connection(address).get_transport_cls())


def test_kombu_keeps_unacknowledged_messages_and_priorities_under_known_keys() -> None:
    """producer/drive/message_queue.py counts the messages that wait, and those in hand."""
    channel = CHANNEL
    assert channel.unacked_key == "unacked"
    queue = SimpleNamespace(priority_steps=[0, 3, 6, 9], sep="\x06\x16", priority=lambda n: n)
    names = [channel._q_for_pri(queue, "dataworks", priority) for priority in (0, 6)]
    assert names == ["dataworks", "dataworks\x06\x166"]


def test_redis_hands_every_reply_to_parse_response() -> None:
    """broker/checked_transport.py reads what BRPOP brings before kombu does."""
    assert _parameters(Redis.parse_response)[:3] == ["self", "connection", "command_name"]
    connection = SimpleNamespace(read_response=lambda **_: [b"dataworks", b"not JSON"])
    client: Any = CheckedRedis.from_url("redis://localhost/0")
    assert client.parse_response(connection, "BRPOP") is None
    assert client.parse_response(connection, "LRANGE") == [b"dataworks", b"not JSON"]


def test_pymongo_unpacks_a_reply_of_raw_batches_by_this_method() -> None:
    """store/raw_batches.py: three of five microseconds a document are spent in the driver's own."""
    named = ["self", "response", "cursor_id", "codec_options", "user_fields", "legacy_response"]
    assert _parameters(RawBatchCursor._unpack_response) == named
    assert _parameters(RawBatches._unpack_response) == named
    reply = bson.encode(
        {"cursor": {"firstBatch": [bson.decode(DOCUMENT)], "id": 0, "ns": "a.b"}, "ok": 1}
    )
    assert reply_with_stream(reply)["cursor"]["firstBatch"] == [DOCUMENT]


def test_pymongo_copies_the_bytes_of_a_raw_document_into_a_command() -> None:
    """store/insert_command.py: many documents where the driver expects one."""
    sequence = DocumentSequence(EncodedBatch.of([DOCUMENT, DOCUMENT]))
    assert isinstance(sequence, RawBSONDocument)
    assert sequence.raw == DOCUMENT * 2
    encoded = bson.encode({"v": sequence})
    assert DOCUMENT * 2 in encoded


def test_pymongo_encodes_a_lazy_document_as_it_is() -> None:
    """migrate/lazy_document.py: the encoder asks for ``_type_marker`` and takes ``raw``."""
    assert RawBSONDocument._type_marker == LazyDocument._type_marker
    assert bson.encode(LazyDocument(DOCUMENT)) == DOCUMENT
    assert bson.encode({"v": LazyDocument(DOCUMENT)}) == bson.encode({"v": bson.decode(DOCUMENT)})


def test_pymongo_sends_the_session_that_a_fence_sets() -> None:
    """store/write_fence.py: the id comes from ``_server_session``, and never serves another."""
    connection: Any = SimpleNamespace(supports_sessions=True, logical_session_timeout_minutes=30)
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(connect=False)
    fenced = _FencedSession(b"0123456789abcdef")
    command: dict[str, Any] = {"update": "orders", "txnNumber": 7}
    with client, client.start_session(causal_consistency=False) as session:
        assert not session._server_session.started_retryable_write  # nothing is taken from a pool
        session._server_session = fenced
        session._apply_to(command, False, ReadPreference.PRIMARY, connection)
    assert command == {"update": "orders", "txnNumber": 7, "lsid": fenced.session_id}
    assert fenced not in client._topology._session_pool


def test_pymongo_opens_a_change_stream_by_this_method() -> None:
    """sync/change_reader.py: ``watch`` of a client decodes the events, so streams are made here."""
    for kind in (ClusterChangeStream, DatabaseChangeStream):
        assert _parameters(kind._initialize_cursor) == ["self"]
    assert "_initialize_cursor()" in inspect.getsource(pymongo.MongoClient.watch)
    expected = ["target", "pipeline", "full_document", "resume_after", "max_await_time_ms"]
    expected += ["batch_size", "collation", "start_at_operation_time", "session", "start_after"]
    assert _parameters(ChangeStream.__init__)[1:11] == expected


def test_pymongo_keeps_the_batch_of_a_change_stream_in_this_deque() -> None:
    """A reader takes events from it without the work that the driver does for each.

    Without the attribute the reader is right, but takes twice the time.
    """
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(connect=False)
    reply = {"id": 0, "ns": "shop.orders", "firstBatch": [{"a": 1}, {"a": 2}]}
    cursor: Any = CommandCursor(client["shop"]["orders"], reply, None)
    assert isinstance(cursor._data, deque)
    assert [*cursor._data] == reply["firstBatch"]
    assert "self._cursor" in inspect.getsource(ChangeStream)
    client.close()


def test_pymongo_says_these_words() -> None:
    """store/driver_errors.py and store/wire_versions.py cut texts, and read one."""
    error = OperationFailure("refused", 1, {"errmsg": "refused", "secret": "x"})
    assert str(error).partition(", full error")[0] == "refused"
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(
        "mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=1
    )
    with client, pytest.raises(ServerSelectionTimeoutError) as caught:
        client.admin.command("ping")
    assert ", Timeout: " in str(caught.value)
    assert "reports wire version" in inspect.getsource(pymongo.topology_description)
    assert too_old_server(
        "Server at h:1 reports wire version 5, but this version of PyMongo requires at least 8"
    )


def test_kombu_publishes_by_a_closed_channel_with_this_error() -> None:
    """broker/broker_errors.py takes one AttributeError for a broker that went away."""
    error = AttributeError("no client", name="client", obj=None)
    with pytest.raises(LedgerUnavailable), broker_errors():
        raise error
    with pytest.raises(AttributeError), broker_errors():
        raise AttributeError("a fault", name="client", obj=object())


def test_billiard_pauses_in_this_function_and_celery_keeps_processes_here() -> None:
    """``worker.prompt_stop`` cuts the pause short; ``broker.blocking_read`` ends this read."""
    assert inspect.getsource(WORKER._do_exit).count("time.sleep(1)") == 1
    assert "self._pool = []" in inspect.getsource(Pool.__init__)
    assert "self._pool = Pool(" in inspect.getsource(TaskPool.on_start)
    assert "if self._in_poll:" in inspect.getsource(CHANNEL.close)


def test_a_worker_tries_to_connect_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """``worker.consumer`` sets intervals that Celery does not pass to kombu."""
    waited: list[float] = []
    attempts = iter([ConnectionRefusedError(number) for number in range(12)])

    def connect() -> str:
        for error in attempts:
            raise error
        return "connected"

    monkeypatch.setattr("kombu.utils.functional.sleep", waited.append)
    consumer = PromptConsumer.__new__(PromptConsumer)
    consumer.app = create_app(FrameworkConfig())
    consumer.first_connection_attempt = False
    consumer.broker_connection_retry_attempt = 0
    connection: Any = Connection("redis://127.0.0.1:1/0")
    monkeypatch.setattr(connection, "_connection_factory", connect)
    assert consumer.ensure_connected(connection) is connection
    assert sum(waited) == 1 + 2 + 3 + 9 * 4
    assert max(waited) <= 1, "it notices in between that it is asked to stop"


def test_celery_reads_these_settings_and_attributes() -> None:
    """broker/celery_settings.py and tasks.py: what is promised only in its source."""
    request = inspect.getsource(Request.on_failure)
    assert "acks_on_timeout" in request
    assert "TimeLimitExceeded" in request
    assert "requeue" in _parameters(Request.reject)
    assert issubclass(Retry, TaskPredicate)
    assert issubclass(Reject, TaskPredicate)


@pytest.mark.parametrize(("call", "expected"), [("leave()", ""), ("", "it waits\n")])
def test_pymongo_has_an_exit_function_that_a_command_takes_back(call: str, expected: str) -> None:
    """It waits for threads that sleep for half a second each time."""
    program = (
        "import atexit; from pymongo.synchronous import monitor\n"
        "from producer.cli import _leave_sleeping_threads as leave\n"
        f"monitor._shutdown_executors = lambda: print('it waits')\n{call}\natexit._run_exitfuncs()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == expected


_FAKER = """
import sys
from dataworks_tasks.generate.fields.faker_import import AVAILABLE_LOCALES, PROVIDERS, Faker
Faker("en_US", providers=PROVIDERS[:1])
early = "faker.providers.internet" in sys.modules
from faker import config
from faker.utils.loading import find_available_locales
print(early, list(config.AVAILABLE_LOCALES) == find_available_locales(PROVIDERS), end=" ")
print("de_DE" in AVAILABLE_LOCALES, "xx_XX" in AVAILABLE_LOCALES, Faker("de_DE").locales)
"""


def test_faker_searches_for_locales_by_a_function_that_can_be_deferred() -> None:
    """generate/fields/faker_import.py: the search imports every provider."""
    done = subprocess.run(
        [sys.executable, "-c", _FAKER], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True True False ['de_DE']\n"


def test_faker_draws_by_these_methods() -> None:
    """Its shortcuts replace them; test_faker_generator compares the words."""
    fake = Faker(use_weighting=False)
    fake.first_name()
    provider: Any = next(each for each in fake.get_providers() if hasattr(each, "first_names"))
    assert provider.first_names._key_cache == tuple(provider.first_names)
    for name in ("random_element", "numerify", "lexify"):
        assert callable(getattr(BaseProvider, name))
    assert _parameters(Generator.parse) == ["self", "text"]


def test_dotenv_says_which_line_it_does_not_understand() -> None:
    """settings/env_files.py: dotenv_values only logs it, and leaves the setting out."""
    good, wrong = parse_stream(io.StringIO("A=1\nB 2\n"))
    assert (good.key, good.value, good.error) == ("A", "1", False)
    assert (wrong.key, wrong.error, wrong.original.line) == (None, True, 2)
