"""Files of settings: ``.env_local`` and the profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values


def read_env_file(path: Path = Path(".env_local")) -> Mapping[str, str | None]:
    """Read the variables of a file, exactly as written; nothing if it does not exist."""
    return dotenv_values(path, interpolate=False) if path.is_file() else {}


def profile_paths() -> dict[str, Path]:
    """Profiles by name: those in ``./profiles``, else those that came with the package."""
    package = Path(__file__).parent.parent
    found: dict[str, Path] = {}
    for folder in (package.parent / "profiles", package / "profiles", Path("profiles")):
        found |= {path.stem: path for path in sorted(folder.glob("*.env"))}
    return found
