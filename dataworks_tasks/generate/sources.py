"""Create the sources of the documents of each part of a generation job."""

from __future__ import annotations

from collections.abc import Sequence

from dataworks_tasks.errors import SpecRefused, UnknownName
from dataworks_tasks.generate.aggregators.aggregation import aggregations_of
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.custom.factory import GeneratorFactory
from dataworks_tasks.generate.generation_work import PartSource
from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from dataworks_tasks.runs.reproducibility import check_documents_format
from dataworks_tasks.runs.spec import GenerationJob


def part_sources(
    job: GenerationJob, plugins: Sequence[str], registered: Sequence[BaseDataGenerator] = ()
) -> tuple[PartSource, ...]:
    """Return one source per part of the job.

    ``plugins`` come from this process' own settings, ``registered`` from its own code.
    Raises SpecRefused for a generator that this process does not know, and for documents of
    another format.
    """
    if job.generator is not None:
        factory = GeneratorFactory(plugins, registered)
        try:
            source = factory.create(job.generator, job.seed)
        except UnknownName as error:
            raise SpecRefused(
                f"this process has no generator {job.generator!r}",
                f"Name its module in FRAMEWORK_PLUGINS on every worker. {error.remedy}",
            ) from None
        return tuple(PartSource(part, source) for part in job.parts)
    check_documents_format(job)
    template = parse_template(job.template, job.name)
    placed = [(template.collections[part.position], part.namespace) for part in job.parts]
    return tuple(
        PartSource(
            part,
            document_source(template, part.position, job.seed),
            collection.indexes,
            aggregations_of(collection, part.namespace, placed),
        )
        for part, (collection, _) in zip(job.parts, placed, strict=True)
    )
