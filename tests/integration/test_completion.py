"""What shells complete, in the shells themselves; and the topics of ``dataworks help``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from producer.cli import COMMANDS, cli
from producer.cli.help import topics

# Each shell loads its script once, then completes one line after the other.
LOADED = {
    "bash": 'eval "$(dataworks completion bash)"',
    "zsh": r"""
autoload -Uz compinit; compinit -D
eval "$(dataworks completion zsh)"
(( $+_comps[dataworks] )) || exit 9
compadd() {
  local -a offered; [[ $1 == -U ]] && shift
  offered=("${(@P)@[-1]}"); print -l -- $offered
}
_describe() { local name=$argv[-1]; [[ $name == -U ]] && name=$argv[-2]
  for name in $argv; do [[ ${(Pt)name} == array* ]] && print -l -- "${(@P)name}"; done }
""",
    "fish": "dataworks completion fish | source",
}
BASH = r"""
COMP_WORDS=({words} "{last}"); COMP_CWORD={count}
_dataworks_completion dataworks
printf '%s\n' "${{COMPREPLY[@]}}"
"""
# The completion system of zsh works on a terminal only: its list is taken where it is handed over.
ZSH = r"""
words=({words} "{last}"); CURRENT={position}
_dataworks_completion 2>/dev/null
"""
FISH = r"""
complete -C "{line}"
"""


def _shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true" and name == "bash":
            pytest.fail("no bash here")
        pytest.skip(f"no {name} here: apt-get install {name}")
    return found


def _completion(shell: str, line: str) -> str:
    words = line.split()
    script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
        words=" ".join(words[:-1]),
        last=words[-1],
        count=len(words) - 1,
        position=len(words),
        line=line,
    )
    return f"{script}\necho {_END}\n"


_END = "the end of the offers"


def completed(shell: str, folder: Path, *lines: str) -> list[str]:
    """Return what ``shell`` offers for the last word of each line."""
    script = "\n".join([LOADED[shell], *(_completion(shell, line) for line in lines)])
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [_shell(shell), *options, "-c", script],
        env={"PATH": path, "HOME": str(folder), "TERM": "dumb"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *offers, rest = done.stdout.split(_END)
    assert (len(offers), rest) == (len(lines), "\n"), done.stdout
    return offers


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_flags_runs_and_templates(shell: str, tmp_path: Path) -> None:
    runs = tmp_path / ".dataworks/runs"
    runs.mkdir(parents=True)
    (runs / "mig-20261126-120000-abcd.json").touch()
    (runs / "nightly.json").symlink_to("mig-20261126-120000-abcd.json")
    wanted = {
        "dataworks mig": "migrate",
        "dataworks generate --max-r": "--max-rate",
        "dataworks resume m": "mig-20261126-120000-abcd",
        "dataworks status n": "nightly",
        "dataworks generate serv": "service_order",
        "dataworks help how": "how-long",
        "dataworks templates show sen": "sensors",
        "dataworks profiles data-i": "data-ingest",
    }
    for (line, word), offer in zip(
        wanted.items(), completed(shell, tmp_path, *wanted), strict=True
    ):
        assert word in offer, line


def test_fish_shows_what_a_command_does_and_completes_paths(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "orders.json").touch()
    demo, path = completed("fish", tmp_path, "dataworks dem", "dataworks generate mine/o")
    assert demo.strip() == f"demo\t{COMMANDS['demo']}"
    assert path.strip() == "mine/orders.json"


def test_a_mistyped_command_does_not_disturb_a_line(tmp_path: Path) -> None:
    (offer,) = completed("bash", tmp_path, "dataworks generat serv")
    assert "error" not in offer


def test_every_shell_has_its_script(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run(
            [sys.executable, "-m", "producer", "completion", shell],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert "_DATAWORKS_COMPLETE" in done.stdout


def test_topics_have_titles_and_no_name_of_a_command() -> None:
    pages = topics()
    assert {"fill-staging", "how-long", "stands-still", "upgrade", "platforms"} <= pages.keys()
    assert all(path.read_text().startswith("# ") for path in pages.values())
    assert not pages.keys() & COMMANDS.keys()


def test_help_of_a_command_is_what_its_own_flag_prints() -> None:
    own = CliRunner().invoke(cli, ["generate", "--help"], prog_name="dataworks").output
    assert "--total" in own
    assert CliRunner().invoke(cli, ["help", "generate"], prog_name="dataworks").output == own
