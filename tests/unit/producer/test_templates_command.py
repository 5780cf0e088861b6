"""dataworks templates: check refuses what generate refuses; files get a collection each."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import bson
import pytest
from click.testing import CliRunner

from dataworks_tasks.errors import DataWorksError, UsageError
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.templates.json_text import parse_json
from dataworks_tasks.generate.templates.load_template import builtin_templates, parse_template
from dataworks_tasks.settings import FrameworkConfig
from producer.cli.generate import command as generate
from producer.cli.templates import command
from producer.document_output import write_documents
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import plan_generation

ONE = {"collection": "one", "count": 3, "content": {"a": {"type": "int"}}}
TWO = {"collection": "two", "count": 2, "content": {"b": {"type": "reference", "to": "one"}}}
REFUSED: dict[str, Any] = {
    "capacity": {"count": 1000, "content": {"k": {"type": "unique", "min": 1, "max": 10}}},
    "count": {"count": 0, "content": {}},
    "index kind": {"count": 1, "content": {}, "indexes": [{"key": {"a": "btree"}}]},
    "unique pool": {"count": 3000, "content": {"m": {"type": "faker", "method": "email"}},
                    "indexes": [{"key": {"m": 1}, "unique": True}]},
    "too large": {"count": 1, "content": {"s": {"type": "array", "size": 2, "arrayContent": {
        "type": "string", "minLength": 9_000_000, "maxLength": 9_000_000}}}},
    "overflow": {"count": 1, "content": {
        "x": {"type": "expr", "expr": "9223372036854775807 + 1"}}},
    "id pool": [ONE, {"collection": "c", "count": 9, "content": {
        "_id": {"type": "reference", "to": "one", "oneToOne": True}}}],
    "capped": {"count": 9, "content": {}, "options": {"capped": True, "size": 9999, "max": 8}},
    "capped bytes": {"count": 500, "content": {}, "options": {"capped": True, "size": 4096}},
    "no count": {"content": {"b": {"type": "reference", "to": "documents"}}},
}  # fmt: skip


def saved(folder: Path, template: Any) -> str:
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return str(path)


def run(*arguments: str, text: str | None = None) -> Any:
    return CliRunner().invoke(command, list(arguments), input=text)


@pytest.mark.parametrize("name", REFUSED)
def test_check_refuses_what_generate_refuses(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path, REFUSED[name])
    with pytest.raises(UsageError) as caught:
        plan_generation(GenerationRequest(path, seed=1), FrameworkConfig())
    checked = run("check", path)
    assert isinstance(checked.exception, DataWorksError)
    assert str(checked.exception) == str(caught.value)


def test_check_reads_what_generate_reads(tmp_path: Path) -> None:
    text = json.dumps([ONE, TWO])
    without_ending = tmp_path / "template"
    without_ending.write_text(text)
    for arguments, given in ((("-",), text), ((str(without_ending),), None), (("shop",), None)):
        checked = run("check", *arguments, text=given)
        assert checked.exit_code == 0, checked.exception
        assert "no problems" in checked.output
    assert "any number of documents" in run("check", "service_order").output
    with pytest.raises(UsageError, match="one collection"):
        raise run("check", "shop", "--total", "5").exception
    unlimited = saved(tmp_path, {"content": REFUSED["capacity"]["content"]})
    assert run("check", unlimited).exit_code == 0
    assert isinstance(run("check", unlimited, "--total", "11").exception, UsageError)


def test_a_new_template_is_valid_and_never_overwrites(tmp_path: Path) -> None:
    path = str(tmp_path / "mine.json")
    assert run("new", path).exit_code == 0
    assert run("check", path).exit_code == 0
    assert isinstance(run("new", path).exception, UsageError)
    assert isinstance(run("new", str(tmp_path / "mine.txt")).exception, UsageError)


@pytest.mark.parametrize("name", sorted(builtin_templates()))
def test_show_prints_a_template_that_can_be_read_again(name: str) -> None:
    parse_template(json.loads(run("show", name).output), name)


def written(template: Any, folder: Path, output: str) -> tuple[str, ...]:
    plan = plan_generation(GenerationRequest(saved(folder, template), seed=1), FrameworkConfig())
    return write_documents(plan, output)


def test_several_collections_are_written_to_a_file_each(tmp_path: Path) -> None:
    files = written([ONE, TWO], tmp_path, str(tmp_path / "out.bson"))
    assert [Path(name).name for name in files] == ["out.one.bson", "out.two.bson"]
    one, two = (bson.decode_all(Path(name).read_bytes()) for name in files)
    assert (len(one), len(two)) == (3, 2)
    assert {entry["b"] for entry in two} <= {entry["_id"] for entry in one}
    with pytest.raises(UsageError, match="already exists"):
        written([ONE, TWO], tmp_path, str(tmp_path / "out.bson"))
    assert written(ONE, tmp_path, str(tmp_path / "x.jsonl")) == (str(tmp_path / "x.jsonl"),)


def test_a_name_that_is_a_path_stays_in_the_folder(tmp_path: Path) -> None:
    odd = [{**ONE, "collection": "../one"}, {**ONE, "collection": "a/b"}]
    files = written(odd, tmp_path, str(tmp_path / "out.jsonl"))
    assert {Path(name).parent for name in files} == {tmp_path}


@pytest.mark.parametrize(
    ("template", "output", "said"),
    [
        ([ONE, TWO], "stdout", "stdout is one stream"),
        ([ONE, {**ONE, "database": "d"}], "out.jsonl", ""),
        (ONE, "out.csv", "not a supported kind of file"),
        ({**ONE, "content": {"n": {"type": "countAggregator", "collection": "x", "query": {}}}},
         "out.jsonl", "one.n is computed from other collections"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_hold_is_refused(
    template: Any, output: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    place = output if output == "stdout" else str(tmp_path / output)
    if said:
        with pytest.raises(UsageError, match=said):
            written(template, tmp_path, place)
        assert not list(tmp_path.glob("out*"))
    else:
        assert len(set(written(template, tmp_path, place))) == 2


def test_a_document_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """One after those that are tried before anything is written."""

    def document(_self: Any, index: int | None = None) -> Any:
        return {"x": 1 / (index != 150)}

    generator = type("Own", (BaseDataGenerator,), {"generate_document": document})()
    request = GenerationRequest("own", total=200, seed=1)
    plan = plan_generation(request, FrameworkConfig(), registered=[generator])
    with pytest.raises(UsageError, match="document 150 cannot be generated: ZeroDivisionError"):
        write_documents(plan, str(tmp_path / "own.jsonl"))


@pytest.mark.parametrize("flag", ["--drop", "--append", "--detach", "--verify", "--max-rate=5"])
def test_flags_of_runs_are_refused_for_files(flag: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out.jsonl")
    done = CliRunner().invoke(generate, [saved(tmp_path, ONE), "--output", output, flag])
    assert isinstance(done.exception, UsageError)
    assert f"{flag.partition('=')[0]} has no effect" in str(done.exception)
    assert not Path(output).exists()


def test_a_hyphen_is_stdout_and_stdin(tmp_path: Path) -> None:
    done = CliRunner().invoke(generate, ["-", "--output", "-", "--seed", "1"], json.dumps(ONE))
    assert [sorted(json.loads(line)) for line in done.stdout.splitlines()] == [["_id", "a"]] * 3
    assert run("check", "-", text=json.dumps({**ONE, "count": 1})).output == (
        "stdin: one: 1 document, no problems\n"
    )


def test_a_file_that_is_not_json_is_said_not_to_be() -> None:
    with pytest.raises(DataWorksError, match=r"^a\.csv: not JSON: .* at line 1, column 1$"):
        parse_json("name,age\n", "a.csv")


def test_half_of_a_character_is_refused_wherever_it_is() -> None:
    for text in (r'{"a\ud83d": 1}', r'{"content": {"a": {"type": "faker\ude80"}}}'):
        with pytest.raises(DataWorksError, match=r"^a: \\ud(83d|e80) is half of a character"):
            parse_json(text, "a")
    assert parse_json(r'["\ud83d\ude80"]', "a") == ["🚀"]


def test_the_command_for_a_new_file_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(command, ["new", "my own.json"]).output
    assert "dataworks templates preview 'my own.json'" in printed
