"""How all settings are checked, and what a bad one is told."""

from __future__ import annotations

from pydantic import ConfigDict, ValidationError

from deepvelo.wording import in_code, in_one_line

# A misspelt name is an error, never a setting that silently stays as it was.
STRICT = ConfigDict(extra="forbid")
# What a value should have been, by the beginning of pydantic's name for the fault.
_NUMBERS = {"int": "a whole number", "float": "a number"}


def sentence(error: ValidationError, *, spelling: str) -> str:
    """The first fault of some settings; ``spelling`` says where to look for the name of one that is not there."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # our own words
        return str(first["ctx"]["error"])
    name = in_one_line(".".join(str(part) for part in first["loc"]), most=100)
    if first["type"] == "missing":
        return f"Setting `{name}` is missing. Give it."
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"There is no setting `{name}`. {spelling}"
    number = _NUMBERS.get(first["type"].partition("_")[0])
    if number and first["input"] is None:  # an empty field of a form
        return f"Setting `{name}` is empty. Give {number}."
    requirement = number or first["msg"].removeprefix("Input should be ").rstrip(".")
    return f"Setting `{name}` should be {requirement}. Got {in_code(first['input'])}. Change it."
