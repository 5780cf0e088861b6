"""Following under random faults: ``python -m tests.faults.follow_faults --seeds 1-200``.

A schedule is a run that follows its source while writers write and things break, the cut-over, and
a comparison of every document, byte for byte. Its seed is printed with what was done.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import psutil
import pymongo
import redis
from pymongo.errors import AutoReconnect, PyMongoError

from dataworks_tasks.ledger.contract import RunState
from producer.local.services import LocalServices
from tests.faults.schedules import Undone, try_seeds
from tests.fleet import Fleet, wait_until
from tests.integration.sync.writers import UNIQUE_FIELD, Writers, raw_documents
from tests.support.redis_moments import Moment
from tests.support.replica_set import ReplicaSet
from tests.support.tcp_proxy import TcpProxy

WORKERS = ("worker-1", "worker-2")
NAMES = ("orders", "people")
CLAIM_SECONDS, LATE_SECONDS = 2, 1
_LONGER_THAN_A_CLAIM = 2.6
_LONGER_THAN_LATE = 3.8
_DOCUMENTS = 300
_TEST_COMMANDS = ("--setParameter", "enableTestCommands=1")
_COPY_RATE = 300


class FollowFaults:
    """Two replica sets, Valkey, two workers, and what can be done to them."""

    def __init__(
        self,
        services: LocalServices,
        fleet: Fleet,
        source: ReplicaSet,
        target: ReplicaSet,
        proxies: dict[str, TcpProxy],
    ) -> None:
        self.services, self.fleet = services, fleet
        self.source, self.target, self.proxies = source, target, proxies
        self.random = random.Random(0)
        self.producer: Any = None
        self.undone = Undone()
        self.faults: dict[str, Callable[[], None]] = {
            "kill a pool process": lambda: self._child().kill(),
            "suspend a pool process": lambda: self._suspend([self._child()], self._long()),
            "kill a worker": self._kill_worker,
            "suspend a worker": lambda: self._suspend(self._worker_tree(), self._long()),
            "kill the producer": self._kill_producer,
            "kill Valkey": lambda: self._restart("valkey"),
            "Valkey loses a second": self._lose_a_second,
            "kill a source member": lambda: self._restart(self._member(self.source)),
            "kill a target member": lambda: self._restart(self._member(self.target)),
            "suspend the source's primary": lambda: self._suspend_primary(self.source),
            "suspend the target's primary": lambda: self._suspend_primary(self.target),
            "election at the source": lambda: self._elect(self.source),
            "election at the target": lambda: self._elect(self.target),
            "stale secondary": self._stale_secondary,
            "cut all connections": self._cut,
            "black hole before Valkey": lambda: self._hole("valkey", 1.5),
            "black hole before a target member": lambda: self._hole(self._member(self.target), 1.5),
            "black hole before a source member": lambda: self._hole(self._member(self.source), 1.5),
        }

    @property
    def logs(self) -> Path:
        """The folder of their logs."""
        return self.services.folder / "logs"

    def schedule(self, seed: int) -> str:
        """One schedule. Raises AssertionError when the two sides differ at its end."""
        self.random, began = random.Random(seed), time.monotonic()
        fleet, draw = self.fleet, self.random
        self._expect_workers()
        fleet.database = f"s{seed}"
        self._fill()
        done: list[str] = []
        writers = Writers(self.source.url, fleet.database, NAMES, seed, through_faults=True)
        try:
            with writers:
                run = self._start()
                for name in draw.sample(sorted(self.faults), draw.randint(2, 4)):
                    time.sleep(draw.uniform(0.1, 0.8))
                    self.undone.due()
                    done.append(name)
                    self.faults[name]()
                    wait_until(partial(self._write, writers, writers.changes + 20), "writers write")
                time.sleep(draw.uniform(0.0, 0.8))
                self.undone.everything()
                wait_until(partial(self._ask, self._is_copied, run), f"{run} is copied", 120)
            copied = time.monotonic()
            done += self._cut_over(run)
            self._check(run)
            self._expect_workers()
        except BaseException as error:
            error.add_note(f"seed {seed}: {', '.join(done)}")
            raise
        finally:
            self.undone.everything()
        self._clean()
        ended = time.monotonic()
        return f"{', '.join(done)}: equal after {copied - began:.1f} + {ended - copied:.1f} s"

    def _write(self, writers: Writers, changes: int) -> bool:
        """Whether the writers have made so many changes.

        Two faults together can leave a replica set without a majority until one is taken back.
        """
        self.undone.due()
        return writers.have_made(changes)

    def _expect_workers(self) -> None:
        """Nothing but a signal of ours ends a worker; start one that is gone all the same."""
        gone = set(WORKERS) - self.services.pids().keys()
        for name in gone:
            self.services.restart(name)
        assert not gone, f"{gone} ended by themselves"

    def _fill(self) -> None:
        # An election that the schedule before began may still be under way.
        wait_until(self._is_filled, "the source is filled")

    def _is_filled(self) -> bool:
        with (
            suppress(AutoReconnect),
            pymongo.MongoClient[dict[str, Any]](self.source.url) as client,
        ):
            client.drop_database(self.fleet.database)
            database = client[self.fleet.database]
            for name in NAMES:
                documents = [{"_id": n, "n": n} for n in range(_DOCUMENTS)]
                places = [{"_id": f"place{n}", UNIQUE_FIELD: n} for n in range(20)]
                database[name].insert_many([*documents, *places])
            database["orders"].create_index(UNIQUE_FIELD, unique=True, sparse=True)
            return True
        return False

    def _start(self) -> str:
        """Start the migration; one that is not detached can be killed."""
        name, known = self.fleet.database, set(self.fleet.ledger.run_ids())
        names = ("--include", f"{name}.*", "--map", f"{name}.*={name}_copy.*")
        arguments = (*names, "--follow", "--batch-size", 40, "--max-rate", _COPY_RATE)
        self.producer = None
        if self.random.random() < 0.3:
            self.producer = self.fleet.start("migrate", *arguments)
            found: str = wait_until(
                lambda: next(iter(set(self.fleet.ledger.run_ids()) - known), None), "it is recorded"
            )
            return found
        return str(self.fleet.run_json("migrate", *arguments, "--detach")["run"])

    def _is_copied(self, run: str) -> bool:
        state = self.fleet.ledger.state(run)
        assert state is not RunState.FAILED, self.fleet.ledger.progress(run).last_error
        return self.fleet.ledger.key_windows.is_copied(run)

    def _cut_over(self, run: str) -> list[str]:
        """Cut over; some are killed on the way, and repeated."""
        arguments = ("cutover", run, "--quiet", "1s", "--verify")
        verify = self.random.choice(["changed", "changed", "changed", "none", "full"])
        done = []
        if self.random.random() < 0.2:
            command = self.fleet.start(*arguments, verify)
            time.sleep(self.random.uniform(1.0, 4.0))
            command.kill()
            command.wait()
            done.append("kill the cut-over")
        if self.producer is not None:
            self.producer.kill()
            self.producer.wait()
        wait_until(lambda: self._lag(run) < 20, "it has caught up", 120)
        self.fleet.run(*arguments, verify)
        return done

    def _lag(self, run: str) -> float:
        from producer.view.follow_figures import follow_figures

        ledger = self.fleet.ledger
        state = ledger.state(run)
        assert state is not RunState.FAILED, ledger.progress(run).last_error
        if state is RunState.COMPLETE:
            return 0.0
        found = follow_figures(ledger, ledger.spec(run), ledger.progress(run))
        assert found is not None
        return found.lag_seconds

    def _check(self, run: str) -> None:
        progress = self.fleet.ledger.progress(run)
        name = self.fleet.database
        with (
            pymongo.MongoClient[dict[str, Any]](self.source.url) as source,
            pymongo.MongoClient[dict[str, Any]](self.target.url) as target,
        ):
            for each in NAMES:
                wanted = raw_documents(source, name, each)
                found = raw_documents(target, f"{name}_copy", each)
                assert found == wanted, _differences(wanted, found)
            names = target[f"{name}_copy"].list_collection_names()
            assert sorted(names) == sorted(NAMES), names
            indexes = target[f"{name}_copy"]["orders"].index_information()
            assert indexes[f"{UNIQUE_FIELD}_1"].get("unique"), indexes
        assert (progress.state, progress.failures) == (RunState.COMPLETE, 0), progress

    def _clean(self) -> None:
        with suppress(PyMongoError), pymongo.MongoClient[Any](self.source.url) as client:
            client.drop_database(self.fleet.database)
        with suppress(PyMongoError), pymongo.MongoClient[Any](self.target.url) as client:
            client.drop_database(f"{self.fleet.database}_copy")

    def _ask(self, question: Callable[[str], bool], run: str) -> bool:
        with suppress(redis.ConnectionError):
            return question(run)
        return False

    def _long(self) -> float:
        return self.random.choice([1.0, _LONGER_THAN_A_CLAIM, _LONGER_THAN_LATE])

    def _worker_tree(self) -> list[psutil.Process]:
        worker = psutil.Process(self.services.pids()[self.random.choice(WORKERS)])
        return [worker, *worker.children()]

    def _child(self) -> psutil.Process:
        worker, *children = self._worker_tree()
        return self.random.choice(children or [worker])

    def _suspend(self, processes: list[psutil.Process], seconds: float) -> None:
        def wake() -> None:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(SIGCONT)

        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGSTOP)
        self.undone.later(seconds, wake)

    def _kill_worker(self) -> None:
        self._restart(self.random.choice(WORKERS))

    def _kill_producer(self) -> None:
        if self.producer is not None:
            self.producer.kill()

    def _restart(self, name: str) -> None:
        # It is waited for, so what would keep it from starting has to be over.
        self.undone.everything()
        self.services.restart(name, SIGKILL)

    def _lose_a_second(self) -> None:
        moment = Moment.of(self.fleet.redis)
        self.undone.later(
            self.random.uniform(0.2, 1.5), lambda: moment.bring_back(self.fleet.redis)
        )

    def _member(self, servers: ReplicaSet) -> str:
        return self.random.choice(servers.names)

    def _suspend_primary(self, servers: ReplicaSet) -> None:
        name = servers.wait_for_primary()
        servers.suspend([name])
        self.undone.later(self.random.choice([0.5, 3.0]), lambda: servers.wake([name]))

    def _elect(self, servers: ReplicaSet) -> None:
        with suppress(PyMongoError), servers.directly(servers.wait_for_primary()) as client:
            client.admin.command({"replSetStepDown": 5, "force": True})

    def _stale_secondary(self) -> None:
        primary = self.source.wait_for_primary()
        name = self.random.choice([each for each in self.source.names if each != primary])

        def switch(mode: str) -> bool:
            with suppress(PyMongoError), self.source.directly(name) as client:
                client.admin.command({"configureFailPoint": "stopReplProducer", "mode": mode})
                return True
            return False

        switch("alwaysOn")
        self.undone.later(
            self.random.choice([1.0, 3.0]),
            lambda: wait_until(partial(switch, "off"), "it replicates"),
        )

    def _cut(self) -> None:
        for proxy in self.proxies.values():
            proxy.reset()

    def _hole(self, name: str, seconds: float) -> None:
        proxy = self.proxies[name]
        proxy.black_hole = True

        def fill() -> None:
            proxy.black_hole = False
            proxy.reset()

        self.undone.later(seconds, fill)


def _differences(wanted: list[bytes], found: list[bytes]) -> str:
    import bson

    lost, more = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    shown = [
        f"{name}: {[bson.decode(each) for each in list(some)[:5]]}"
        for name, some in (("only at the source", lost), ("only at the target", more))
    ]
    return f"{len(lost)} and {len(more)} differ; " + "; ".join(shown)


@contextmanager
def follow_faults() -> Iterator[FollowFaults]:
    """Yield the servers and workers, for any number of schedules."""
    with ExitStack() as stack:
        services = stack.enter_context(LocalServices.in_temporary_folder())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ports: dict[int, TcpProxy] = {}

        def by_way_of(port: int) -> int:
            ports[port] = stack.enter_context(TcpProxy("127.0.0.1", port))
            return ports[port].port

        proxies: dict[str, TcpProxy] = {}
        sets = []
        for side in ("source", "target"):
            servers = ReplicaSet(services, 1000, side, _TEST_COMMANDS, by_way_of)
            proxies |= dict(zip(servers.names, list(ports.values())[-3:], strict=True))
            sets.append(servers)
        source, target = sets
        services.start_valkey()
        proxies["valkey"] = stack.enter_context(TcpProxy.before(services.redis_url))
        environment = {
            "FRAMEWORK_BROKER_URL": proxies["valkey"].url(services.redis_url),
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": source.url,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target.url,
            "FRAMEWORK_STALL_SECONDS": "2",
            "FRAMEWORK_CLAIM_SECONDS": str(CLAIM_SECONDS),
            "FRAMEWORK_LATE_WRITE_SECONDS": str(LATE_SECONDS),
        }
        preferences = ("primary", "secondaryPreferred")
        for name, preference in zip(WORKERS, preferences, strict=True):
            url = f"{source.url}&readPreference={preference}"
            services.start_worker(
                {**environment, "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": url}, 2, name
            )
        mongo = stack.enter_context(pymongo.MongoClient[dict[str, Any]](target.url))
        client = stack.enter_context(redis.Redis.from_url(services.redis_url))
        environment["FRAMEWORK_BROKER_URL"] = services.redis_url
        fleet = Fleet(environment, client, mongo, "shop", Path(folder), services.start_worker)
        stack.callback(fleet.close)
        yield FollowFaults(services, fleet, source, target, proxies)


def main() -> None:
    """Run the command line."""
    try_seeds(__doc__, "1-200", follow_faults)


if __name__ == "__main__":
    main()
