"""Words that several pages share, and text that users wrote, inside Markdown."""

from __future__ import annotations

import re
from typing import Any

from deepvelo.config import Settings, sections

NEGATIVE_RATES = (
    "Rates are unconstrained here (setting Non-negative rates is off, as in the preset `published`): they may be "
    "negative, which no transcription, splicing or degradation can be."
)

# A setting as messages name it, ``Setting `graph.n_neighbors` `` or without the first word.
_NAMED = re.compile(r"(?:Setting )?`((?:\w+\.)?\w+)`")


def with_labels(message: str) -> str:
    """The message with the label of its field before each setting: files know its name, the form its label."""
    labels = _labels()

    def labelled(found: re.Match[str]) -> str:
        label = labels.get(found[1])
        if label is None:
            return found[0]
        return f"**{label}**" + (f" (`{found[1]}`)" if "." in found[1] else "")

    return _NAMED.sub(labelled, message)


def _labels() -> dict[str, str]:
    """Of every setting with a title, by its name in messages and files."""
    groups: dict[str, Any] = {"": Settings} | {f"{name}.": group for name, group in sections().items()}
    return {
        f"{prefix}{name}": field.title
        for prefix, group in groups.items()
        for name, field in group.__pydantic_fields__.items()
        if field.title
    }


def without_markup(text: str) -> str:
    """A sentence that quotes names from a file: none becomes a link, an image or emphasis; settings in backticks stay."""
    return re.sub(r"([\\*\[\]<>$])", r"\\\1", text)


def escape(text: str) -> str:
    """The text as it is: a name like ``my_*best*_run`` or ``a:b`` must not turn into markup."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~])", r"\\\1", text)
