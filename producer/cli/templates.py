"""``dataworks templates``: list, check and preview."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.numerals import counted
from producer.cli.shared.completion import complete_builtin_templates, complete_templates
from producer.cli.shared.name_list import print_names
from producer.cli.shared.options import COUNT, SCALE, SEED, CommandContext, Count, with_context
from producer.cli.shared.terminal_lines import broken

if TYPE_CHECKING:
    from producer.estimate.template_preview import CollectionPreview


@click.group("templates", invoke_without_command=True)
@with_context
def command(context: CommandContext) -> None:
    """List the built-in templates; check or preview a template file."""
    from dataworks_tasks.generate.templates.load_template import builtin_templates

    if click.get_current_context().invoked_subcommand is not None:
        return
    print_names(context, "template", builtin_templates())


@command.command("check")
@click.argument("what", metavar="TEMPLATE", shell_complete=complete_templates)
@click.option("--total", type=COUNT, metavar="N", help="Number of documents, also 10k, 5M or 1e9.")
@click.option(
    "--scale",
    type=SCALE,
    metavar="F",
    help="Multiply the counts of the template's collections, by 0.1 or 3 for example.",
)
@with_context
def check(context: CommandContext, what: str, total: int | None, scale: float | None) -> None:
    """Report everything in TEMPLATE that generate would refuse, without any server.

    TEMPLATE is a built-in name, a file, - for stdin, or a generator.
    """
    from dataworks_tasks.generate.templates.load_template import STDIN
    from producer.start.run_request import GenerationRequest
    from producer.start.start_generation import plan_generation

    request = GenerationRequest(what, total=total, scale=scale, seed=1)
    plan = plan_generation(request, context.config(), assumed_count=1)
    counts = [part.count for part in plan.job.parts]
    if total is None and plan.templates:
        counts = [template.count or 0 for template in plan.templates]
    for namespace, count in zip(plan.namespaces, counts, strict=True):
        if context.as_json:
            context.print_json({"collection": namespace.collection, "count": count or None})
        else:
            shown = counted(count, "document") if count else "any number of documents"
            called = "stdin" if what == STDIN else what
            click.echo(f"{called}: {namespace.collection}: {shown}, no problems")


@command.command("show")
@click.argument("name", metavar="NAME", shell_complete=complete_builtin_templates)
@with_context
def show(context: CommandContext, name: str) -> None:
    """Print the built-in template NAME, as a starting point for your own."""
    from dataworks_tasks.generate.templates.load_template import builtin_text

    text = builtin_text(name)
    if context.as_json:
        context.print_json({"template": name, "text": text})
    else:
        click.echo(text, nl=False)


@command.command("new")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@with_context
def new(context: CommandContext, path: Path) -> None:
    """Write a small template with comments to FILE, as a starting point."""
    from dataworks_tasks.generate.templates.load_template import starter_text
    from producer.unfinished_file import complete_or_removed

    if path.suffix.lower() != ".json":
        raise UsageError(f"{path} does not end in .json", f"Name it {path.with_suffix('.json')}")
    try:
        with complete_or_removed(path.open("x", encoding="utf-8"), path) as file:
            file.write(starter_text())
    except FileExistsError:
        raise UsageError(f"{path} already exists", "Name another file, or remove it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    if context.as_json:
        context.print_json({"template": str(path)})
        return
    command = f"dataworks templates preview {shlex.quote(str(path))}"
    click.echo(broken(f"{path} is written. See its documents: {command}", sys.stdout))


@command.command("preview")
@click.argument("what", metavar="TEMPLATE", shell_complete=complete_templates)
@click.option(
    "-n",
    "count",
    type=Count(1, 10_000),
    default=3,
    show_default=True,
    help="Documents of each collection.",
)
@click.option(
    "--seed",
    type=SEED,
    default=1,
    show_default=True,
    metavar="S",
    help="The same seed gives the same documents.",
)
@click.option(
    "--sample",
    type=Count(0, 1_000_000),
    metavar="N",
    help="Documents to sample for the field table; 0 for none. Default: 10,000; none with --json.",
)
@with_context
def preview(context: CommandContext, what: str, count: int, seed: int, sample: int | None) -> None:
    """Print documents of TEMPLATE as Extended JSON, and a summary of many of them.

    For each field: how many documents have it, its values and how they are distributed; then the
    sizes of documents and indexes, and how many documents a process makes in a second.
    """
    from dataworks_tasks.generate.templates.template_source import capacities
    from producer.document_output import preview_lines
    from producer.estimate.template_preview import SAMPLE, preview_collection
    from producer.start.run_request import GenerationRequest
    from producer.start.start_generation import plan_generation

    request = GenerationRequest(what, seed=seed)
    plan = plan_generation(request, context.config(), assumed_count=count)
    if sample is None:
        sample = 0 if context.as_json else SAMPLE
    for position, (part, source) in enumerate(zip(plan.job.parts, plan.sources, strict=True)):
        template = plan.templates[position] if plan.templates else None
        if len(plan.sources) > 1 and not context.as_json:
            click.echo(f"# {part.namespace.collection}")
        for line in preview_lines(source, count, indent=None if context.as_json else 2):
            click.echo(line)
        if not sample:
            continue
        fields = capacities(template.content) if template else ()
        existing = min((most for _, most in fields), default=sample)
        indexes = template.indexes if template else ()
        figures = preview_collection(source, part.namespace, indexes, min(sample, existing))
        if context.as_json:
            context.print_json({"collection": part.namespace.collection, **figures.as_json()})
            continue
        documents = template.count if template else None
        for line in figure_lines(figures, documents or 1_000_000):
            click.echo(line)


def figure_lines(figures: CollectionPreview, documents: int) -> Iterator[str]:
    """Yield a table of the fields, then sizes and the rate, of a collection of ``documents``."""
    from rich.filesize import decimal

    yield f"\n{counted(figures.sampled, 'document')}:"
    width = max((len(entry.path) for entry in figures.fields), default=0)
    shown_types = [
        "/".join(name for name, _ in entry.types.most_common(3)) for entry in figures.fields
    ]
    type_width = max(8, *map(len, shown_types)) if shown_types else 8
    for entry, types in zip(figures.fields, shown_types, strict=True):
        present = f"{entry.documents / figures.sampled:.0%}"
        null = f", {entry.nulls / entry.seen:.0%} null" if entry.nulls else ""
        bars = entry.histogram()
        values = f"{entry.distinct:,} different: {entry.described()}" if entry.distinct else ""
        line = f"  {entry.path:<{width}}  {types:<{type_width}} {present:>4}{null}  {values}"
        yield f"{line}  |{bars}|" if bars else line.rstrip()
    if figures.failures:
        first = figures.failures[0]
        failed = counted(len(figures.failures), "more document")
        yield f"{failed} failed. {first.document_id}: {first.reason}"
    size = figures.mean_bytes
    yield f"A document has {size:,.0f} bytes; {documents:,} have {decimal(int(size * documents))}"
    for name, entry_bytes in figures.index_bytes.items():
        whole = decimal(int(entry_bytes * documents))
        yield f"Index {name}: about {entry_bytes:.0f} bytes a document, {whole} uncompressed"
    rate = figures.documents_per_second
    if rate:
        yield f"One process makes {rate:,.0f} documents/s ({decimal(int(rate * size))}/s)"
