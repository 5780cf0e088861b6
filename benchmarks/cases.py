"""The cases: what is measured, against which limit, and how much of it is promised."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bson import ObjectId

from benchmarks.limits import CopyLimit, InsertLimit, Site, documents_per_second
from benchmarks.runs import CommandLine, MeasuredRun
from benchmarks.templates import faker_fields, flat, service_order
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_WRITE
from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.worker.malloc_tuning import tune_malloc

SOURCE = Namespace("bench", "orders")
_PLUGIN = '''
from dataworks_tasks import BaseMigrationStrategy, MigrationStrategyFactory


@MigrationStrategyFactory.register
class SetOneField(BaseMigrationStrategy):
    """Sets one field of every document, in Python."""

    name = "set-one-field"

    def transform_document(self, document):
        document["moved"] = True
        return document
'''


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the table. ``promised`` is the least share of the limit; None: only reported."""

    case: str
    documents: int
    rate: float
    command_rate: float | None
    limit: float
    promised: float | None
    worker_bytes: int

    @property
    def share(self) -> float:
        """The rate as a share of the limit."""
        return self.rate / self.limit

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return self.promised is None or self.share >= self.promised

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {**asdict(self), "share": round(self.share, 3), "kept": self.kept}


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs cases on local services with two warm workers."""

    site: Site
    command: CommandLine
    documents: int

    def generation(self) -> Iterator[Measurement]:
        """Whole generation runs, and generation alone."""
        limits: dict[str, float] = {}
        for name, template, promised in (
            ("service_order", service_order(), 0.70),
            ("flat", flat(), 0.60),
            ("faker_fields", faker_fields(), 0.70),
        ):
            count = self.documents // 4 if name == "faker_fields" else self.documents
            limits[name] = best_insert_limit(self.site, template, count)
            run = self._generate(name, template, count)
            yield _measured(f"generate {name}", run, limits[name], promised)
        alone = generation_alone(service_order(), min(self.documents, 200_000))
        yield Measurement(
            "generation alone, one core",
            min(self.documents, 200_000),
            alone,
            None,
            limits["service_order"],
            1.2,
            0,
        )

    def migration(self) -> Iterator[Measurement]:
        """Whole migration runs and verifications."""
        self._generate("orders", service_order(), self.documents)
        limit = copy_limit(self.site, self.documents)
        copy = ("migrate", "--include", SOURCE, "--to", "bench.copy", "--drop")
        plain = self.command.run(*copy)
        yield _measured("migrate", plain, limit, 0.90)
        verified = self.command.run("verify", plain.run_id)
        yield _measured("verify a migration", verified, limit, 1.2)
        declared = ("--set", "moved=true", "--rename", "status=state", "--mask")
        changed = self.command.run(*copy, *declared, "customer.email=faker:email")
        yield _measured("migrate, declared changes", changed, limit, 0.60)
        python = self.command.run(*copy, "--strategy", "set-one-field")
        yield _measured("migrate, Python strategy", python, limit, 0.45)

    def _generate(self, name: str, template: Any, count: int) -> MeasuredRun:
        path = self.command.folder / f"{name}.json"
        path.write_text(json.dumps(template))
        where = ("--database", "bench", "--collection", name, "--drop", "--seed", 1)
        arguments = ("generate", path, *where, "--total")
        self.command.run(*arguments, 20_000)
        return self.command.run(*arguments, count)


def _measured(case: str, run: MeasuredRun, limit: float, promised: float | None) -> Measurement:
    return Measurement(
        case, run.documents, run.rate, run.command_rate, limit, promised, run.peak_worker_bytes
    )


def best_insert_limit(site: Site, template: Any, documents: int) -> float:
    """Return the better rate of two batch sizes."""
    job = InsertLimit(site, template, documents, batch=5_000)
    return max(
        documents_per_second(replace(job, batch=batch), documents) for batch in (2_000, 5_000)
    )


def copy_limit(site: Site, documents: int) -> float:
    """Copy ``SOURCE`` in two processes, each one half."""
    with site.client() as client:
        ids = client.collection(SOURCE).find({}, {"_id": 1}).sort("_id", 1)
        middle: ObjectId = ids.skip(documents // 2).limit(1)[0]["_id"]
    bounds = (bytes(12), middle.binary, b"\xff" * 12)
    return documents_per_second(CopyLimit(site, SOURCE, bounds, batch=5_000), documents)


def generation_alone(template: Any, documents: int) -> float:
    """Documents per second of one core, without a database, in a process set up like a worker."""
    tune_malloc()
    source = document_source(parse_template(template, "bench"), 0, 1)
    source.generate(0, DOCUMENTS_PER_WRITE)  # draws all of its pools
    start = time.process_time()
    for first in range(0, documents, DOCUMENTS_PER_WRITE):
        source.generate(first, first + DOCUMENTS_PER_WRITE)
    return documents / (time.process_time() - start)


def write_plugin(folder: Path) -> Path:
    """Write the Python strategy that the benchmark's workers load."""
    path = folder / "bench_strategy.py"
    path.write_text(_PLUGIN)
    return path
