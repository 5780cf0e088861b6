"""The tables in docs/ that are made from the code: flags of every command, every setting.

``python -m tests.unit.docs.reference_tables`` rewrites them between their markers; a test
fails while a page does not show what the code says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from dataworks_tasks.settings.setting_names import known_settings
from producer.cli import COMMANDS, cli

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = DOCS.parent / "producer/view/run.schema.json"
_MARKED = re.compile(r"(<!-- begin (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand by the words a person types."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, f"producer.cli.COMMANDS names {name}, which does not exist"
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


def tables() -> dict[str, str]:
    """Every table by the name of its marker."""
    flags = {f"flags of {name}": _flags(name, command) for name, command in commands()}
    return {**flags, **_schemas(), "settings": _settings()}


def with_current_tables(page: str) -> str:
    """Return the page's text with every marked table as the code has it."""
    made = tables()
    return _MARKED.sub(lambda found: found[1] + made[found["name"]] + found[3], page)


def marked_tables(page: str) -> list[str]:
    """Return the names of the tables that a page has a place for."""
    return [found["name"] for found in _MARKED.finditer(page)]


def _flags(name: str, command: click.Command) -> str:
    context = click.Context(command)
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [one for one in command.params if isinstance(one, click.Option)]
    usage = " ".join(["dataworks", name, *(one.make_metavar(context) for one in arguments)])
    rows = "".join(f"| {_names(one, context)} | {_meaning(one)} |\n" for one in options)
    return f"`{usage}`\n\n| flag | meaning |\n| --- | --- |\n{rows}"


def _names(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    return names.replace("|", "\\|")


def _meaning(option: click.Option) -> str:
    text = option.help or ""
    if not option.show_default or option.default is None:
        return text
    if option.is_flag:
        return f"{text} On unless switched off." if option.default else text
    return f"{text} Default: {option.default}.".strip()


def _schemas() -> dict[str, str]:
    """Return a table of the fields for each part of the schema of JSON output."""
    known = json.loads(SCHEMA.read_text())["$defs"]
    run, now, detail = (known[name]["properties"] for name in ("run", "now", "detail"))
    added = {name: field for name, field in detail.items() if name not in run and name != "now"}
    parts = {"run schema": run, "now schema": now, "detail schema": added}
    made = {name: "".join(_fields(fields)) for name, fields in parts.items()}
    tables = {
        "commands schema": _printed_by("commands", "command", "objects"),
        "answers schema": _printed_by("answers", "address", "object"),
        "objects schema": _objects(),
    }
    return {**made, **tables}


def _printed_by(part: str, what: str, printed: str) -> str:
    """Return which objects each command prints, or each address of the API."""
    rows = "".join(
        f"| `{name}` | {', '.join(f'`{one}`' for one in objects)} |\n"
        for name, objects in json.loads(SCHEMA.read_text())[part].items()
    )
    return f"| {what} | {printed} |\n| --- | --- |\n{rows}"


def _objects() -> str:
    """Return the objects besides runs, a table each."""
    known = json.loads(SCHEMA.read_text())
    printed = [*known["commands"].values(), known["stderr"], *known["answers"].values()]
    names = dict.fromkeys(name for objects in printed for name in objects)
    run = known["$defs"]["run"]["properties"]
    detail = known["$defs"]["detail"]["properties"]
    return "\n".join(
        f"### `{name}`\n\n{known['$defs'][name]['description']}\n"
        + _object_table(known["$defs"][name]["properties"], detail if name == "report" else run)
        for name in names
        if name not in {"run", "live", "document", "detail"}
    )


def _object_table(properties: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return a table of the fields that are not those of a run, already described."""
    added = {name: field for name, field in properties.items() if field != known.get(name)}
    return "\n" + "".join(_fields(added))


def _fields(properties: Mapping[str, Any], inside: str = "") -> Iterator[str]:
    if not inside:
        yield "| field | meaning |\n| --- | --- |\n"
    for name, field in properties.items():
        yield f"| `{inside}{name}` | {field['description']} |\n"
        options = [field, field.get("items", {}), *field.get("oneOf", ())]
        for one in options:
            below = f"{inside}{name}[]." if one is field.get("items") else f"{inside}{name}."
            yield from _fields(one.get("properties", {}), below)


def _settings() -> str:
    rows = "".join(
        f"| `FRAMEWORK_{one.name}` | {_default(one.default)} | {one.description} |\n"
        for one in known_settings()
    )
    return f"| setting | default | meaning |\n| --- | --- | --- |\n{rows}"


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{value}`" if value not in (None, "", ()) else "not set"


if __name__ == "__main__":
    for path in (DOCS / "commands.md", DOCS / "settings.md", DOCS / "json.md"):
        path.write_text(with_current_tables(path.read_text()))
