"""The limits: plain processes that write documents encoded beforehand, or copy raw batches.

No Celery, no ledger, no generation. Each process writes as a worker does, one insert command a
batch, its documents sent as one run of bytes, and reads by the driver's raw batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any, cast

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.capabilities import Capabilities
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client

PROCESSES = 2
WRITE_CONCERN = "majority"
INSERT_TARGET = Namespace("bench", "limit")
COPY_TARGET = Namespace("bench", "copy_limit")
_PREPARE_SECONDS = 120
_RUN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Site:
    """Where a benchmark reads and writes."""

    mongodb_url: str

    def client(self) -> BaseDatabaseClient:
        """Return a client of this process' own."""
        config = {"connection_string": self.mongodb_url}
        return create_database_client(DatabaseConfig.model_validate(config))


@dataclass(frozen=True, slots=True)
class InsertLimit:
    """Insert ``documents`` of a template, in batches of ``batch`` documents."""

    site: Site
    template: Any
    documents: int
    batch: int
    namespace: Namespace = INSERT_TARGET


@dataclass(frozen=True, slots=True)
class CopyLimit:
    """Copy a collection of ObjectIds, each process one half of them."""

    site: Site
    source: Namespace
    bounds: tuple[bytes, bytes, bytes]
    batch: int
    namespace: Namespace = COPY_TARGET


Job = InsertLimit | CopyLimit


def documents_per_second(job: Job, documents: int) -> float:
    """Run the job in two processes at once, and return their combined rate.

    The time counts from the first start to the last end.
    """
    with job.site.client() as client:
        client.drop(job.namespace)
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES + 1)
    ends = context.Queue()
    works = [
        context.Process(target=_work, args=(job, number, barrier, ends), daemon=True)
        for number in range(PROCESSES)
    ]
    for work in works:
        work.start()
    barrier.wait(_PREPARE_SECONDS)
    start = time.monotonic()
    last = max(float(ends.get(timeout=_RUN_SECONDS)) for _ in works)
    for work in works:
        work.join()
    with job.site.client() as client:
        written = client.count(job.namespace)
    if written != documents:
        raise RuntimeError(f"the limit wrote {written} of {documents} documents")
    return documents / (last - start)


def _work(job: Job, number: int, barrier: Barrier, ends: Any) -> None:
    if isinstance(job, InsertLimit):
        work = _prepare_insert(job, number)
    else:
        work = _prepare_copy(job, number)
    with job.site.client() as client:
        client.server_info()
        barrier.wait(_PREPARE_SECONDS)
        work(client)
        ends.put(time.monotonic())


def _prepare_insert(job: InsertLimit, number: int) -> Callable[[BaseDatabaseClient], None]:
    source = document_source(parse_template(job.template, "bench"), 0, 1)
    share = job.documents // PROCESSES
    first = number * share
    last = job.documents if number == PROCESSES - 1 else first + share
    most_bytes = Capabilities().max_bytes_per_write
    batches = [
        piece
        for start in range(first, last, job.batch)
        for piece in source.generate(start, min(start + job.batch, last)).split(
            job.batch, most_bytes
        )
    ]

    def insert(client: BaseDatabaseClient) -> None:
        for batch in batches:
            client.insert(job.namespace, batch, WRITE_CONCERN)

    return insert


def _prepare_copy(job: CopyLimit, number: int) -> Callable[[BaseDatabaseClient], None]:
    from bson import ObjectId

    most_bytes = Capabilities().max_bytes_per_write
    lower, upper = (ObjectId(bound) for bound in job.bounds[number : number + 2])

    def copy(client: BaseDatabaseClient) -> None:
        query = {"_id": {"$gte": lower, "$lt": upper}}
        options = {"sort": [("_id", 1)], "batch_size": job.batch}
        # The driver's own way, as in a plain process: our way is part of what is measured.
        for data in client.collection(job.source).find_raw_batches(query, **options):
            for piece in EncodedBatch.parse(cast("bytes", data)).split(job.batch, most_bytes):
                client.insert(job.namespace, piece, WRITE_CONCERN)

    return copy
