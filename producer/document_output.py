"""Documents without a database: on the terminal, or in files, one per collection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from bson import decode
from bson.json_util import RELAXED_JSON_OPTIONS, dumps

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import DataWorksError, UsageError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.chunk_size import ChunkSize
from dataworks_tasks.runs.spec import GenerationPart
from producer.start.start_generation import GenerationPlan
from producer.start.try_documents import made_document
from producer.unfinished_file import complete_or_removed

_DOCUMENTS_AT_ONCE = 2_000
_SECONDS_AT_ONCE = 5.0
STDOUT = "stdout"


def preview_lines(source: DocumentSource, count: int, indent: int | None = None) -> Iterator[str]:
    """Yield the first ``count`` documents as relaxed Extended JSON."""
    for batch in _batches(source, count):
        for document in batch.documents():
            value = decode(document, codec_options=TOLERANT)
            yield dumps(value, json_options=RELAXED_JSON_OPTIONS, indent=indent, ensure_ascii=False)


def write_documents(plan: GenerationPlan, output: str) -> tuple[str, ...]:
    """Write every document of the plan to ``stdout`` or to .jsonl or .bson files; return the names.

    Several collections get a file each: ``out.jsonl`` becomes ``out.customers.jsonl`` and so on.
    Raises UsageError, before anything is written, for another ending, for a file that exists, and
    for what a file cannot hold.
    """
    _check_no_aggregators(plan)
    paths = _paths(plan, output)
    for path in paths:
        if path is not None and path.exists():
            raise UsageError(f"{path} already exists", "Name another file, or remove it")
    for part, source, path in zip(plan.job.parts, plan.sources, paths, strict=True):
        _write(part, source, path)
    return tuple(STDOUT if path is None else str(path) for path in paths)


def _check_no_aggregators(plan: GenerationPlan) -> None:
    for template in plan.templates:
        if template.aggregators:
            field = template.aggregators[0]["target"]
            raise UsageError(
                f"{template.collection}.{field} is computed from other collections after the "
                "insert, so a file cannot contain it",
                "Generate into a database, or take the aggregators out of the template",
            )


def _paths(plan: GenerationPlan, output: str) -> list[Path | None]:
    several = len(plan.job.parts) > 1
    if output in {STDOUT, "-"}:
        if several:
            listed = ", ".join(part.namespace.collection for part in plan.job.parts)
            raise UsageError(
                f"the template has several collections ({listed}), but stdout is one stream",
                "Write one file for each collection: --output FILE.jsonl or FILE.bson",
            )
        return [None]
    path = Path(output)
    if path.suffix not in {".jsonl", ".bson"}:
        raise UsageError(
            f"--output {output} is not a supported kind of file",
            "Name a FILE.jsonl or FILE.bson, or stdout",
        )
    if not several:
        return [path]
    namespaces = [part.namespace for part in plan.job.parts]
    databases = {namespace.database for namespace in namespaces}
    names = [str(each) if len(databases) > 1 else each.collection for each in namespaces]
    if len(set(names)) < len(names):
        raise UsageError(
            "two collections of the template have the same name and would share a file",
            "Give them different names in the template",
        )
    return [path.with_name(f"{path.stem}.{quote(name, ' ')}{path.suffix}") for name in names]


def _write(part: GenerationPart, source: DocumentSource, path: Path | None) -> None:
    as_bson = path is not None and path.suffix == ".bson"
    with _opened(path) as stream:
        for batch in _batches(source, part.count):
            stream.write(batch.data if as_bson else _lines(batch))


def _batches(source: DocumentSource, count: int) -> Iterator[EncodedBatch]:
    size, start = ChunkSize(_DOCUMENTS_AT_ONCE, _SECONDS_AT_ONCE), 0
    while start < count:
        batch = _generated(source, start, start + size.of(count - start))
        yield batch
        size.learn(len(batch), batch.size_bytes, 0)
        start += len(batch)


def _generated(source: DocumentSource, start: int, stop: int) -> EncodedBatch:
    try:
        return source.generate(start, stop)
    except DataWorksError:
        raise
    except Exception:
        for index in range(start, stop):
            made_document(source, index, f"document {index}")
        raise


def _opened(path: Path | None) -> AbstractContextManager[BinaryIO]:
    if path is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return complete_or_removed(path.open("xb"), path)
    except FileExistsError:
        raise UsageError(f"{path} already exists", "Name another file, or remove it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _lines(batch: EncodedBatch) -> bytes:
    shown = (
        dumps(
            decode(document, codec_options=TOLERANT),
            json_options=RELAXED_JSON_OPTIONS,
            ensure_ascii=False,
        )
        for document in batch.documents()
    )
    return "".join(f"{line}\n" for line in shown).encode()
