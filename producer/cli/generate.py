"""``dataworks generate``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from dataworks_tasks.errors import UsageError
from dataworks_tasks.numerals import counted
from producer.cli.shared.completion import complete_templates
from producer.cli.shared.options import (
    COUNT,
    SCALE,
    SEED,
    CommandContext,
    run_options,
    with_connections,
    workers_option,
)

if TYPE_CHECKING:
    from producer.start.run_request import RunOptions


@click.command("generate")
@click.argument("what", metavar="TEMPLATE", shell_complete=complete_templates)
@click.option("--total", type=COUNT, metavar="N", help="Number of documents, also 10k, 5M or 1e9.")
@click.option(
    "--scale",
    type=SCALE,
    metavar="F",
    help="Multiply the counts of the template's collections, by 0.1 or 3 for example.",
)
@click.option("--database", metavar="D", help="Target database.")
@click.option("--collection", metavar="C", help="Target collection.")
@click.option(
    "--seed",
    type=SEED,
    metavar="S",
    help="The same seed gives the same documents; random if not given.",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write to FILE.jsonl or FILE.bson, or to stdout (or -), instead of a target.",
)
@click.option(
    "--allow-duplicates",
    is_flag=True,
    help="Write to a time series, even though a repeated range duplicates its documents.",
)
@run_options
@workers_option
@with_connections
def command(
    context: CommandContext,
    what: str,
    options: RunOptions,
    detach: bool,
    verify: bool,
    output: str | None,
    workers: int | None,
    **flags: object,
) -> None:
    """Fill a collection from TEMPLATE: a built-in name, a file, - for stdin, or a generator.

    \b
    dataworks generate service_order --total 1M
    dataworks generate template.json --total 5 --database shop --collection orders --drop
    """
    from producer.cli.shared.run_to_end import Stay, run_new, say_on_record
    from producer.document_output import STDOUT, write_documents
    from producer.resume.named_run import find_named_run
    from producer.resume.spec_file import keep_name
    from producer.start.run_request import GenerationRequest
    from producer.start.start_generation import plan_generation, start_generation

    stay = Stay(detach, verify)
    request = GenerationRequest(what=what, options=options, **flags)  # type: ignore[arg-type]
    if output is not None:
        _check_for_file()
        plan = plan_generation(request, context.config())
        written = write_documents(plan, output)
        said = f"{counted(plan.job.total, 'document')} written to {', '.join(written)}"
        click.echo(said, err=True)
        if context.as_json and STDOUT not in written:
            context.print_json({"documents": plan.job.total, "files": written})
        return
    check = partial(plan_generation, request)
    with context.run_connections(workers, detach=detach, check=check) as connections:
        known = find_named_run(connections, request)
        spec = known or start_generation(request, connections.config, connections)
        keep_name(options.run_name, spec)
        if known:
            say_on_record(context, options.run_name)
        sys.exit(run_new(context, connections, spec, stay))


_FOR_FILES = {
    "what", "total", "scale", "database", "collection", "seed", "output", "profile", "as_json",
}  # fmt: skip


def _check_for_file() -> None:
    """Refuse flags that apply only to a run: writing a file starts no run."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in _FOR_FILES:
            raise UsageError(
                f"--output writes a file and starts no run, so {parameter.opts[0]} has no effect",
                "Leave one of them out",
            )
