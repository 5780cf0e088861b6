"""Check a generation request against everything it needs, then record the run."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from dataworks_tasks.errors import TargetNotEmpty, UnknownName, UsageError, nearest_or_all
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.custom.factory import GeneratorFactory
from dataworks_tasks.generate.fingerprint import document_fingerprint
from dataworks_tasks.generate.templates.load_template import (
    STDIN,
    builtin_names,
    document_source,
    is_template_file,
    load_template,
    scaled,
)
from dataworks_tasks.generate.templates.template import CollectionTemplate, Template
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.reproducibility import DOCUMENTS_FORMAT, versions
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_collection import check_layout, create_collection
from producer.connections import Connections
from producer.start.capped_collections import check_capped, check_capped_targets
from producer.start.check_names import check_generated_names
from producer.start.check_unique_ids import check_writable, with_repeating_ids
from producer.start.claimed_targets import claimed_targets
from producer.start.collections_in_use import check_not_in_use
from producer.start.dropped_collection import describe_collection
from producer.start.generation_targets import create_missing, with_collection_uuids
from producer.start.index_entries import with_generated_indexes
from producer.start.new_spec import new_spec
from producer.start.record_run import record_run
from producer.start.run_name import name_run
from producer.start.run_request import GenerationRequest, RunOptions
from producer.start.template_collections import create_as_template_says
from producer.start.try_documents import TriedSource, try_documents
from producer.start.try_indexes import refuse_late, try_beside, try_in_place

log = logging.getLogger(__name__)

DEFAULT_DATABASE = "dataworks"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One collection of a request, before it has its place in the run."""

    namespace: Namespace
    position: int
    count: int
    indexes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """A request with every name resolved and every number checked; this needs no connection."""

    job: GenerationJob
    sources: tuple[DocumentSource, ...]
    templates: tuple[CollectionTemplate, ...] = ()

    @property
    def namespaces(self) -> tuple[Namespace, ...]:
        """The target collections."""
        return tuple(part.namespace for part in self.job.parts)


def plan_generation(
    request: GenerationRequest,
    config: FrameworkConfig,
    assumed_count: int | None = None,
    registered: Sequence[BaseDataGenerator] = (),
) -> GenerationPlan:
    """Find the template or generator and make the job. Raises UsageError; writes nothing.

    ``assumed_count`` is used if neither the request nor the template gives a count. ``registered``
    generators of this process' own code override a template with the same name.
    """
    if request.total is not None:
        check_total(request.total)
    for flag, name in (("--database", request.database), ("--collection", request.collection)):
        if name == "":  # a variable of a script that is not set
            raise UsageError(f"{flag} is empty", "Give it a name, or leave it out")
    seed = secrets.randbelow(2**32) if request.seed is None else request.seed
    known = set(builtin_names()) - {generator.name for generator in registered}
    if request.what in known or Path(request.what).suffix.lower() == ".json":
        return _from_template(request, config, seed, load_template(request.what), assumed_count)
    factory = GeneratorFactory(config.plugins, registered)
    if request.what not in factory.names() and is_template_file(request.what):
        return _from_template(request, config, seed, load_template(request.what), assumed_count)
    if request.what not in factory.names():
        hint = nearest_or_all(request.what, [*known, *factory.names()])
        stop = "" if hint.endswith("?") else "."
        raise UnknownName(
            f"unknown template or generator {request.what!r}",
            f"{hint}{stop} List them with: dataworks templates, dataworks generators",
        )
    if request.scale is not None:
        raise UsageError("--scale requires a template", "For a generator, give --total N")
    source = factory.create(request.what, seed)
    wanted = [
        _Wanted(_namespace(request, config, "", request.what), 0, _total(request, assumed_count))
    ]
    return _plan(request, seed, wanted, [source], generator=request.what)


def _from_template(
    request: GenerationRequest,
    config: FrameworkConfig,
    seed: int,
    template: Template,
    assumed_count: int | None,
) -> GenerationPlan:
    if request.scale is not None:
        if request.total is not None:
            raise UsageError("--scale and --total cannot be combined", "Give one of them")
        template = scaled(template, request.scale)
    collections = template.collections
    if len(collections) > 1 and (request.collection or request.total is not None):
        flag = "--collection" if request.collection else "--total"
        names = ", ".join(collection.collection for collection in collections)
        raise UsageError(
            f"{flag} requires a template of one collection; {request.what} has {names}",
            "Name the collections in the template file, or write into another --database"
            if request.collection
            else "Set the counts in the template file, or multiply them: --scale F",
        )
    for note in template.notes:
        log.warning("%s: %s", request.what, note)
    wanted = []
    for position, collection in enumerate(collections):
        namespace = _namespace(request, config, collection.database, collection.collection)
        count = _total(request, collection.count or assumed_count)
        template.check_total(position, count)
        wanted.append(_Wanted(namespace, position, count, collection.indexes))
    sources = [document_source(template, position, seed) for position in range(len(collections))]
    plan = _plan(request, seed, wanted, sources, template=template.document)
    for collection, source, item in zip(collections, sources, wanted, strict=True):
        check_capped(collection.name, collection.options, source, item.count)
    return replace(plan, templates=collections)


def _plan(
    request: GenerationRequest,
    seed: int,
    wanted: Sequence[_Wanted],
    sources: Sequence[DocumentSource],
    **origin: Any,
) -> GenerationPlan:
    parts: list[GenerationPart] = []
    first = 0
    for item in wanted:
        parts.append(
            GenerationPart(
                namespace=item.namespace, position=item.position, first=first, count=item.count
            )
        )
        first += item.count
    check_total(first)
    counted = [(source, item.count) for source, item in zip(sources, wanted, strict=True)]
    own_code = "generator" in origin
    names = [request.what if own_code else item.namespace.collection for item in wanted]
    tried = try_documents(
        [TriedSource(name, *entry) for name, entry in zip(names, counted, strict=True)], own_code
    )
    indexed = [
        with_generated_indexes(part, item.indexes, documents)
        for part, item, documents in zip(parts, wanted, tried, strict=True)
    ]
    job = GenerationJob(
        name="stdin" if request.what == STDIN else Path(request.what).name,
        seed=seed,
        parts=tuple(indexed),
        probe_digest=document_fingerprint(chain.from_iterable(tried)),
        made_with=versions(),
        documents_format=DOCUMENTS_FORMAT,
        **origin,
    )
    return GenerationPlan(job, tuple(sources))


def start_generation(
    request: GenerationRequest,
    config: FrameworkConfig,
    connections: Connections,
    registered: Sequence[BaseDataGenerator] = (),
) -> RunSpec:
    """Check the request against the servers, prepare the target and record the run.

    Raises UsageError before anything is written or dropped.
    """
    plan = plan_generation(request, config, registered=registered)
    connections.reach_ledger()
    target = connections.target
    check_generated_names(target, plan.namespaces)
    check_targets(target, plan.namespaces, request.options)
    check_capped_targets(target, plan.job.parts, plan.sources, drop=request.options.drop)
    # A command without Redis starts one here, when all that it needs no ledger for is checked.
    ledger = connections.ledger
    if request.options.drop:
        check_not_in_use(ledger, target, plan.namespaces)
    job = with_repeating_ids(
        target,
        plan.job,
        allowed=request.allow_duplicates,
        created_as_series=[
            namespace
            for template, namespace in zip(plan.templates, plan.namespaces, strict=False)
            if "timeseries" in template.options
        ],
    )
    spec = new_spec(job, request.options, config, target)
    connections.begin_imports()  # the servers' longest answers are to come
    options = request.options
    with claimed_targets(ledger, spec, plan.namespaces, shared=options.drop or options.append):
        check_targets(target, plan.namespaces, options)  # another run may have ended meanwhile
        if options.append:
            _try_indexes(target, plan, refuse_late, with_documents=True)
        _try_indexes(target, plan, try_beside, with_documents=True)
        name_run(ledger, spec, options.run_name)
        _prepare(target, plan, options)
        spec = spec.model_copy(update={"job": with_collection_uuids(target, job)})
        record_run(ledger, spec, plan.job.total, connections.run_queue)
    return spec


def _prepare(target: BaseDatabaseClient, plan: GenerationPlan, options: RunOptions) -> None:
    if options.drop:
        _drop(target, plan, options)
    create_collections(target, plan.namespaces, options)
    # The request's layout comes before the template's: then the collections exist.
    for template, namespace in zip(plan.templates, plan.namespaces, strict=False):
        create_as_template_says(target, template, namespace)
    _try_indexes(target, plan, try_in_place, with_documents=False)
    create_missing(target, plan.namespaces)


def _try_indexes(
    target: BaseDatabaseClient,
    plan: GenerationPlan,
    attempt: Callable[[BaseDatabaseClient, Namespace, Sequence[Mapping[str, Any]]], None],
    with_documents: bool,
) -> None:
    """Try the templates' indexes, for collections with documents or for empty ones."""
    for template, namespace in zip(plan.templates, plan.namespaces, strict=False):
        if template.indexes and target.has_documents(namespace) is with_documents:
            attempt(target, namespace, template.indexes)


def _drop(target: BaseDatabaseClient, plan: GenerationPlan, options: RunOptions) -> None:
    """Drop the collections and create them again as they were."""
    templates = [*plan.templates, *[None] * len(plan.namespaces)]
    dropped = []
    for template, namespace in zip(templates, plan.namespaces, strict=False):
        says = template is not None and bool(
            template.compression_level or template.shard_config or template.options
        )
        laid_out = bool(options.layout) or says
        dropped.append(describe_collection(target, namespace, laid_out=laid_out))
    for namespace in plan.namespaces:
        target.drop(namespace)
    for collection in dropped:
        if collection is not None:
            collection.create(target)


def check_targets(
    target: BaseDatabaseClient, namespaces: Sequence[Namespace], options: RunOptions
) -> None:
    """Raise TargetNotEmpty unless every collection is empty or the request says what to do."""
    check_layout(target, options.layout)
    if options.drop and options.append:
        raise UsageError("--drop and --append cannot be combined", "Give one of them")
    check_writable(target, namespaces)
    if options.drop or options.append:
        return
    for namespace in namespaces:
        if target.has_documents(namespace):
            count = target.estimated_count(namespace)
            raise TargetNotEmpty(
                f"{namespace} already holds {counted(count, 'document')}",
                "Add --append to keep them, or --drop to delete the collection first",
            )


def create_collections(
    target: BaseDatabaseClient, namespaces: Sequence[Namespace], options: RunOptions
) -> None:
    """Create the target collections if the request gives their layout."""
    if options.layout:
        for namespace in namespaces:
            create_collection(target, namespace, options.layout)


def check_total(total: int) -> None:
    """Raise UsageError unless a run can have that many documents."""
    if not 1 <= total <= MAX_DOCUMENTS:
        raise UsageError(
            f"a run cannot have {counted(total, 'document')}",
            f"Give a --total from 1 to {MAX_DOCUMENTS:,}",
        )


def _total(request: GenerationRequest, of_template: int | None) -> int:
    total = request.total if request.total is not None else of_template
    if total is None:
        raise UsageError(
            f"{request.what} does not say how many documents to generate", "Add --total N"
        )
    return total


def _namespace(
    request: GenerationRequest, config: FrameworkConfig, database: str, collection: str
) -> Namespace:
    """Choose the namespace: flags, else the template, else the settings, else a default."""
    target = config.target
    set_database = target.database_name if target else ""
    set_collection = target.collection_name if target else ""
    return Namespace(
        request.database or database or set_database or DEFAULT_DATABASE,
        request.collection or collection or set_collection or "documents",
    )
