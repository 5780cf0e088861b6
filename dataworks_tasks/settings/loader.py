"""Load settings from their layers, and name the setting and its layer when one is wrong.

Later layers override earlier ones: defaults, ``profiles/<name>.env``, ``.env_local``, environment,
flags.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dataworks_tasks.errors import SettingsError, UnknownName, nearest_or_all
from dataworks_tasks.numerals import parse_count
from dataworks_tasks.settings.address_syntax import ENCODE_COMMAND, check_syntax
from dataworks_tasks.settings.env_files import profile_paths, read_env_file
from dataworks_tasks.settings.framework_config import FrameworkConfig
from dataworks_tasks.settings.setting_names import SettingName, known_settings

_PROBLEMS = {
    "int_parsing": "the value is not a number such as 500000, 10k, 5M or 1e6",
    "float_parsing": "the value is not a number such as 0.5 or 30",
    "bool_parsing": "the value is not true or false",
    "greater_than": "the value must be more than {gt:,.15g}",
    "greater_than_equal": "the value must be {ge:,.15g} or more",
    "less_than_equal": "the value must be {le:,.15g} or less",
    "string_pattern_mismatch": "the value does not match {pattern}",
    "enum": "the value must be {expected}",
    "literal_error": "the value must be {expected}",
}
"""What is wrong with a value, by pydantic's type of error; pydantic speaks of inputs."""
_MISSPELT = 0.85
"""From this similarity on, one name is a misspelling of the other."""


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    origin: str
    flag: str | None = None

    def shown(self, setting: str) -> str:
        """Return where a person finds the value."""
        return self.flag or f"{setting} in {self.origin}"


class ConfigManager:
    """Reads settings whose names begin with ``prefix`` and an underscore."""

    def __init__(self, prefix: str = "FRAMEWORK") -> None:
        self.prefix = prefix

    def load_config(
        self,
        env_file: str | Path = ".env_local",
        profile: str | None = None,
        overrides: Mapping[str, object] | None = None,
        defaults: Mapping[str, str] | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> FrameworkConfig:
        """Load the settings of this process.

        ``overrides`` (names without prefix, from flags) override everything; ``defaults`` rank
        below the profile. A missing ``env_file`` is not an error. Raises SettingsError that names
        the setting, where it was set and what is accepted, and UnknownName for a profile that does
        not exist. ``typed``: the flags, such as ``--target``, by which a person gave overrides.
        """
        typed = typed or {}
        flags = {
            key: _Value(str(v), "a flag", typed.get(key))
            for key, v in (overrides or {}).items()
            if v is not None
        }
        environment = self._own(os.environ, "the environment")
        in_file = read_env_file(Path(env_file))
        self._refuse_misspelt(in_file, str(env_file))
        local = self._own(in_file, str(env_file))
        chosen = profile or next(
            (layer["PROFILE"].text for layer in (environment, local) if "PROFILE" in layer), None
        )
        base = {key: _Value(value, "local services") for key, value in (defaults or {}).items()}
        from_profile = self._profile(chosen) if chosen else {}
        values = base | from_profile | local | environment | flags
        if chosen:
            values["PROFILE"] = _Value(chosen, "the profile's name")
        return self._build(values).typed(typed)

    def _own(self, values: Mapping[str, str | None], origin: str) -> dict[str, _Value]:
        start = f"{self.prefix}_"
        return {
            key.removeprefix(start): _Value(value, origin)
            for key, value in values.items()
            if key.startswith(start) and value
        }

    def _refuse_misspelt(self, names: Iterable[str], origin: str) -> None:
        """Raise SettingsError for the name of a setting without the prefix."""
        known = [f"{self.prefix}_{setting.name}" for setting in known_settings()]
        for name in names:
            if name.startswith(f"{self.prefix}_"):
                continue
            whole = f"{self.prefix}_{name.upper()}"
            near = get_close_matches(name.upper(), known, n=1, cutoff=_MISSPELT)
            meant = whole if whole in known else next(iter(near), None)
            if meant is not None:
                raise SettingsError(f"unknown setting {name} in {origin}", f"Did you mean {meant}?")

    def _profile(self, name: str) -> dict[str, _Value]:
        path = profile_paths().get(name)
        if path is None:
            raise UnknownName.among("profile", name, profile_paths())
        return self._own(read_env_file(path), f"profiles/{path.name}")

    def _build(self, values: Mapping[str, _Value]) -> FrameworkConfig:
        known = {setting.name: setting for setting in known_settings()}
        tree: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                full_name = f"{self.prefix}_{name}"
                hint = nearest_or_all(
                    full_name, [f"{self.prefix}_{known_name}" for known_name in known]
                )
                raise SettingsError(f"unknown setting {full_name} in {value.origin}", hint)
            *parents, last = known[name].place
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[last] = _without_suffix(value.text) if known[name].is_count else value.text
        _drop_unconnected(tree)
        self._check_databases(tree, values)
        try:
            return FrameworkConfig(**tree)
        except ValidationError as error:
            raise self._problem(error, values, known) from None

    def _check_databases(self, tree: Mapping[str, Any], values: Mapping[str, _Value]) -> None:
        """Raise SettingsError for an ambiguous connection string."""
        for side in ("source", "target"):
            address = tree.get(side, {}).get("connection_string", "")
            try:
                if address.startswith(("mongodb://", "mongodb+srv://")):
                    check_syntax(address)
            except ValueError as error:
                name = f"{side.upper()}_DB_CONNECTION_STRING"
                raise SettingsError(
                    f"{values[name].shown(f'{self.prefix}_{name}')}: {error}", ENCODE_COMMAND
                ) from None

    def _problem(
        self, error: ValidationError, values: Mapping[str, _Value], known: Mapping[str, SettingName]
    ) -> SettingsError:
        first = error.errors(include_input=False, include_url=False)[0]
        place = tuple(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        setting = next((s for s in known.values() if place[: len(s.place)] == s.place), None)
        if first["type"] in _PROBLEMS:
            message = _PROBLEMS[first["type"]].format_map(first.get("ctx", {}))
        if setting is None:
            return SettingsError(f"settings are not valid: {message}")
        value = values.get(setting.name, _Value("", "the defaults"))
        return SettingsError(
            f"{value.shown(f'{self.prefix}_{setting.name}')}: {message}",
            f"Its meaning: {setting.description.partition(';')[0]}",
        )


def _drop_unconnected(tree: dict[str, Any]) -> None:
    """Ignore a database section without a connection string: a profile may only tune a pool."""
    for side in ("source", "target"):
        if side in tree and "connection_string" not in tree[side]:
            del tree[side]


def _without_suffix(text: str) -> str:
    """Write a count such as 10k in digits; other text is left to the validation of its setting."""
    try:
        return str(parse_count(text))
    except ValueError:
        return text
