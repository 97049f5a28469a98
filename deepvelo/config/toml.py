"""Settings as plain dictionaries and as TOML, and back; a bad value is one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

from deepvelo.config.settings import PRESETS, Settings
from deepvelo.config.strict import sentence
from deepvelo.errors import InputError
from deepvelo.plain_text import read_text
from deepvelo.wording import in_code, in_one_line

# The whole of docs/settings.toml has 1 kB; the time that Python's parser takes rises with the square of a key's dots.
_LONGEST = 20_000
_SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)


def to_dict(settings: Settings) -> dict[str, Any]:
    """Plain nested dictionary: what JSON, TOML and ``uns`` hold."""
    plain: dict[str, Any] = _SETTINGS.dump_python(settings, mode="json")
    return plain


def from_dict(values: dict[str, Any]) -> Settings:
    """Settings from a nested dictionary; what it leaves out comes from the preset it names.

    Raises
    ------
    InputError
        An unknown preset or name, or a value out of range.
    """
    preset = values.get("preset", "default")
    if not isinstance(preset, str) or preset not in PRESETS:
        msg = f"`preset` must be one of {sorted(PRESETS)}. Got {in_code(preset)}. Choose one of them."
        raise InputError(msg)
    merged = to_dict(PRESETS[preset])
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merged[name] | value
        else:
            merged[name] = value
    try:
        return _SETTINGS.validate_python(merged)
    except ValidationError as error:
        raise InputError(sentence(error, spelling="Check its spelling against docs/settings.toml.")) from None


def replace(settings: Settings, changes: dict[str, dict[str, Any] | Any]) -> Settings:
    """New settings with some values changed, checked like all others.

    ``replace(settings, {"seed": 1, "graph": {"n_neighbors": 10}})``
    """
    values = to_dict(settings)
    for name, change in changes.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    return from_dict(values)


def read_toml(path: Path) -> Settings:
    """Settings from a TOML file; what the file leaves out comes from the preset it names.

    Raises
    ------
    InputError
        The file cannot be read, is no TOML, or holds an unknown name or a value out of range.
    """
    text = read_text(path, most=_LONGEST)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        msg = f"{path} is not a readable TOML file: values lie too deep in each other. Compare it with docs/settings.toml."
        raise InputError(msg) from None
    except ValueError as error:  # TOML's own errors, and Python's for whole numbers of thousands of digits
        why = in_one_line(str(error).partition(";")[0].rstrip("."), most=200)
        msg = f"{path} is not a readable TOML file: {why}. Compare it with docs/settings.toml."
        raise InputError(msg) from None
    return from_dict(values)


def to_toml(settings: Settings) -> str:
    """The settings as TOML text, every value written out."""
    return tomli_w.dumps(to_dict(settings))
