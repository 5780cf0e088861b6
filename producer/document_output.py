"""Documents without a database: to the terminal, or into a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from bson import decode
from bson.json_util import RELAXED_JSON_OPTIONS, dumps

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import UsageError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.runs.batch_range import BatchRange
from producer.start.start_generation import GenerationPlan

_DOCUMENTS_AT_ONCE = 2_000
STDOUT = "stdout"


def preview_lines(source: DocumentSource, count: int, indent: int | None = None) -> Iterator[str]:
    """The first ``count`` documents as relaxed Extended JSON."""
    for chunk in BatchRange(0, count).split(_DOCUMENTS_AT_ONCE):
        for document in source.generate(chunk.start, chunk.stop).documents():
            value = decode(document, codec_options=TOLERANT)
            yield dumps(value, json_options=RELAXED_JSON_OPTIONS, indent=indent, ensure_ascii=False)


def write_documents(plan: GenerationPlan, output: str) -> int:
    """Write every document of the plan to ``stdout`` or to a .jsonl or .bson file; say how many.

    Raises UsageError for another ending, or when the file is there already.
    """
    path = None if output == STDOUT else Path(output)
    if path is not None and path.suffix not in {".jsonl", ".bson"}:
        raise UsageError(
            f"--output {output} is not a kind of file that can be written",
            "Write stdout, FILE.jsonl or FILE.bson",
        )
    with _opened(path) as stream:
        for part, source in zip(plan.job.parts, plan.sources, strict=True):
            for chunk in BatchRange(0, part.count).split(_DOCUMENTS_AT_ONCE):
                batch = source.generate(chunk.start, chunk.stop)
                stream.write(batch.data if path and path.suffix == ".bson" else _lines(batch))
    return plan.job.total


def _opened(path: Path | None) -> AbstractContextManager[BinaryIO]:
    if path is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return path.open("xb")
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
