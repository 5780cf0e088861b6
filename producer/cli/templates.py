"""``dataworks templates``: list, check and preview."""

from __future__ import annotations

import click

from dataworks_tasks.generate.templates.load_template import builtin_templates, load_template
from producer.cli.shared.options import CommandContext, with_context
from producer.document_output import preview_lines
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import plan_generation


@click.group("templates", invoke_without_command=True)
@with_context
def command(context: CommandContext) -> None:
    """List the built-in templates; check or preview a template file."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    for name, about in builtin_templates().items():
        if context.as_json:
            context.print_json({"template": name, "about": about})
        else:
            click.echo(f"{name:<16} {about}")


@command.command("check")
@click.argument("what", metavar="TEMPLATE")
@with_context
def check(context: CommandContext, what: str) -> None:
    """Read TEMPLATE and say every problem it has, without any server."""
    template = load_template(what)
    for collection in template.collections:
        count = "any number of" if collection.count is None else f"{collection.count:,}"
        if context.as_json:
            context.print_json({"collection": collection.collection, "count": collection.count})
        else:
            click.echo(f"{what}: {collection.collection}: {count} documents, no problems")
    for note in template.notes:
        click.echo(f"{what}: note: {note}", err=True)


@command.command("preview")
@click.argument("what", metavar="TEMPLATE")
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, 10_000),
    default=3,
    show_default=True,
    help="Documents of each collection.",
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="S")
@with_context
def preview(context: CommandContext, what: str, count: int, seed: int) -> None:
    """Print documents of TEMPLATE as Extended JSON, without any server."""
    request = GenerationRequest(what, seed=seed)
    plan = plan_generation(request, context.config(), assumed_count=count)
    for namespace, source in zip(plan.namespaces, plan.sources, strict=True):
        if len(plan.sources) > 1 and not context.as_json:
            click.echo(f"# {namespace.collection}")
        for line in preview_lines(source, count, indent=None if context.as_json else 2):
            click.echo(line)
