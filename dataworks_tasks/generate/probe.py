"""A digest of a few documents: whether this machine makes the same ones as the producer's."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import version

from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.runs.spec import GenerationJob

_PROBED = 5


def probe_digest(sources: Sequence[tuple[DocumentSource, int]]) -> str:
    """The digest over a few documents of each source; ``sources`` come with their counts."""
    digest = blake2b(digest_size=16)
    for source, count in sources:
        step = max(1, count // _PROBED)
        for index in range(0, count, step)[:_PROBED]:
            digest.update(source.generate(index, index + 1).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what has a part in a document's bytes."""
    packages = {name: version(name) for name in ("dataworks", "faker", "numpy", "pymongo")}
    return {**packages, "python": platform.python_version()}


def check_probe(job: GenerationJob, sources: Sequence[tuple[DocumentSource, int]]) -> None:
    """Raise SpecRefused when this process makes other documents than the producer did."""
    if probe_digest(sources) != job.probe_digest:
        raise made_otherwise("documents", job.made_with)


def made_otherwise(what: str, made_with: Mapping[str, str]) -> SpecRefused:
    """The error for a process that makes other ``what`` than the producer with its versions."""
    here = versions()
    others = [
        f"{name} {there} there, {here.get(name, 'none')} here"
        for name, there in made_with.items()
        if here.get(name) != there
    ]
    return SpecRefused(
        f"this worker makes other {what} than the producer of the run: "
        + ("; ".join(others) or "the same versions, so a plugin or its data differs"),
        "Install the same versions on every machine: pip install -c constraints.txt dataworks",
    )
