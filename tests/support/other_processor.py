"""Compare the documents of this processor with those of an emulated ARM one.

``python -m tests.support.other_processor`` unpacks an arm64 Python of Debian and libstdc++ (for
numpy) into ``build/arm64``, installs the pinned dependencies for it, and runs the same digests
there by ``qemu-aarch64``. It needs Debian or Ubuntu with the package ``qemu-user``, and changes
nothing outside ``build``.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from dataworks_tasks.generate.templates.load_template import builtin_templates, load_template
from tests.unit.generate.examples import ROOT, digest, examples, template_of

HOME = ROOT / "build" / "arm64"
EMULATOR = "qemu-aarch64"
DOCUMENTS = 5000
PACKAGES = ("numpy", "pymongo", "faker", "pydantic", "pydantic-settings", "python-dotenv",
            "redis", "celery", "click", "rich", "tornado", "packaging", "psutil")  # fmt: skip


def digests() -> dict[str, str]:
    """Return a digest of the first documents of each example and each built-in template."""
    found = {title: digest(template_of(example), DOCUMENTS) for title, example in examples()}
    built_in = {f"builtin {name}": load_template(name) for name in builtin_templates()}
    return found | {name: digest(template, DOCUMENTS) for name, template in built_in.items()}


def _apt(tool: str, *arguments: str, cwd: Path = HOME) -> str:
    """Run one of apt's tools with a state of its own, in which only arm64 exists."""
    state = HOME / "apt"
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State": str(state),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache": str(state / "cache"),
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    done = subprocess.run(
        [tool, *flags, *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _unpack_python() -> None:
    state, archives = HOME / "apt", HOME / "archives"
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial", archives):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    _apt("apt-get", "--quiet=2", "update")
    only = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks",
                                        "replaces", "enhances")]  # fmt: skip
    listed = _apt("apt-cache", "depends", "--recurse", *only, "python3", "libstdc++6").splitlines()
    names = [line for line in listed if line[:1].isalnum() and ":" not in line]
    _apt("apt-get", "--quiet=2", "download", *names, cwd=archives)
    for archive in archives.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", archive, HOME / "root"], check=True)


def _interpreter() -> Path:
    return next((HOME / "root" / "usr" / "bin").glob("python3.??"))


def _install_dependencies() -> None:
    tags = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
    platforms = [flag for tag in tags for flag in ("--platform", tag)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--target", HOME / "site", *platforms, "--only-binary", ":all:",
         "--python-version", _interpreter().name.removeprefix("python"),
         "-c", ROOT / "constraints.txt", *PACKAGES],
        check=True,
    )  # fmt: skip


def emulated_digests() -> dict[str, str]:
    """Return the digests of an ARM processor; prepare its Python if it is missing."""
    if not (HOME / "site").exists():
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
        _unpack_python()
        _install_dependencies()
    path = os.pathsep.join((str(HOME / "site"), str(ROOT)))
    done = subprocess.run(
        [EMULATOR, "-L", HOME / "root", "-E", f"PYTHONPATH={path}", _interpreter(),
         "-m", __spec__.name, "--here"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print the digests of this processor as JSON (``--here``), or compare both."""
    if "--here" in sys.argv:
        json.dump(
            digests() | {"processor": platform.machine(), "numpy": np.__version__}, sys.stdout
        )
        return
    if shutil.which(EMULATOR) is None or shutil.which("apt-get") is None:
        sys.exit(
            f"{EMULATOR} or apt-get is missing. On Debian and Ubuntu: apt-get install qemu-user"
        )
    emulated, here = emulated_digests(), digests()
    different = [title for title, value in here.items() if emulated[title] != value]
    sys.stdout.write(
        f"{len(here)} templates, {DOCUMENTS:,} documents of each collection: {platform.machine()} "
        f"(numpy {np.__version__}) and {emulated['processor']} (numpy {emulated['numpy']}): "
        f"{len(different)} differ{''.join(f'; {title}' for title in different)}\n"
    )
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
