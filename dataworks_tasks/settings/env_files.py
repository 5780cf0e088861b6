"""Files of settings: ``.env_local`` and the profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Original, parse_stream

from dataworks_tasks.errors import SettingsError


def read_env_file(path: Path = Path(".env_local")) -> Mapping[str, str | None]:
    """Read the variables of a file, exactly as written; nothing if it does not exist.

    Raises SettingsError for a file that cannot be read, or a line that is not understood: the
    setting in it would silently be the default one.
    """
    if not path.is_file():
        return {}
    values = {}
    try:
        # Editors of Windows begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig") as file:
            for binding in parse_stream(file):
                if binding.error:
                    raise SettingsError(
                        f"line {_line(binding.original)} of {path} is not NAME=VALUE, or a quote "
                        "in it is not closed",
                        "Correct it, or put # before it",
                    )
                if binding.key is not None:
                    values[binding.key] = binding.value
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text", "Save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}", f"Allow it with: chmod u+r {path}"
        ) from None
    return values


def _line(original: Original) -> int:
    """Return the number of the first line that is not empty."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")


def profile_paths() -> dict[str, Path]:
    """Profiles by name: those in ``./profiles``, else those that came with the package."""
    package = Path(__file__).parent.parent
    found: dict[str, Path] = {}
    for folder in (package.parent / "profiles", package / "profiles", Path("profiles")):
        found |= {path.stem: path for path in sorted(folder.glob("*.env"))}
    return found
