"""Shared messages, and escaping of text from files, visitors and addresses in Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from deepvelo.config import Settings, sections
from deepvelo.wording import in_one_line

NEGATIVE_RATES = (
    "The preset `published` does not constrain rates: they may be negative, which is not possible for transcription, "
    "splicing or degradation."
)
T = TypeVar("T")
MOST_OF_A_NAME: Final = 120  # characters
_MOST_OF_A_SENTENCE: Final = 2000

# Quoted text in a message, and settings: ``Setting `graph.n_neighbors` ``, with or without the first word.
_QUOTED_OR_NAMED = re.compile(
    r"""(?<!\w)(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)|(?:Setting )?`(?P<setting>(?:\w+\.)?\w+)`"""
)
# Streamlit turns these into links, icons, emoji, images and dashes even after a backslash, if they are in one text node;
# `_apart` splits the node.
_JOINED = (
    r":(?=//|material/|[\w+-]+:)|(?<=www)\.|(?<=[\w.+-])@(?=[\w-])"  # addresses, :smile:, :material/home:, :streamlit:
    r"|-(?=[->])|(?<=<)-|(?<=[<>~])="  # -> <- <-> -- >= <= ~=
)
_MARKS = (
    r"[\\`*\[\]{<|$~]"  # anywhere; links, pictures, footnotes and attributes need a bracket
    r"|(?<![^\W_])_|_(?![^\W_])"  # not inside a word: `n_cells`
    r"|&(?=\#?\w+;)|:(?=[^\s\d])"  # &amp; :red[directive], and what `_apart` makes of the next sign
    r"|^[#+\-=>]"  # headings, lists and quotes begin so
)
_SPECIAL = re.compile(f"(?P<joined>{_JOINED})|(?P<mark>{_MARKS})", re.IGNORECASE)


def escape(text: object) -> str:
    """A name for Markdown, shown verbatim: ``my_*best*_run``, ``a:b`` or ``http://a.b`` becomes no markup and no link.

    Apply it to all text from outside that Markdown shows: labels of widgets, options of radio buttons and segmented
    controls, help, captions and messages. Select boxes, tables and fields show text verbatim, see `box_labels`. Long names
    are shortened, as by `deepvelo.wording.in_one_line`.
    """
    return _as_it_is(one_line(text).strip())


def one_line(name: object) -> str:
    """A name for a select box that accepts new options; for other boxes use `box_labels`."""
    return in_one_line(name, most=MOST_OF_A_NAME)


def box_labels(values: Iterable[T], name: Callable[[T], str] = str) -> dict[T, str]:
    """Label of each value of a select box: the name in one line, numbered if it occurs twice.

    Streamlit identifies options by their label, so only the last of two equal labels could be chosen.
    """
    labels: dict[T, str] = {}
    seen: Counter[str] = Counter()
    for value in values:
        label = one_line(name(value))
        seen[label] += 1
        labels[value] = label if seen[label] == 1 else f"{label} ({seen[label]})"
    return labels


def with_labels(message: str) -> str:
    """A message for Markdown, shown verbatim, with the label of its form field before each setting.

    Files use the name of a setting, the form its label. Quoted parts, such as file names, are shortened as by `escape`.
    """
    message = in_one_line(message, most=_MOST_OF_A_SENTENCE)
    labels, parts, end = _labels(), [], 0
    for found in _QUOTED_OR_NAMED.finditer(message):
        label = labels.get(found["setting"])
        if found["quoted"]:
            said = f"{found[0][0]}{escape(found[0][1:-1])}{found[0][-1]}"
        elif label is None:
            continue
        else:
            said = f"**{label}**" + (f" (`{found['setting']}`)" if "." in found["setting"] else "")
        parts += [_as_it_is(message[end : found.start()]), said]
        end = found.end()
    return "".join([*parts, _as_it_is(message[end:])])


def _labels() -> dict[str, str]:
    """Labels of all settings by their name in messages and files."""
    groups: dict[str, Any] = {"": Settings} | {f"{name}.": group for name, group in sections().items()}
    return {
        f"{prefix}{name}": field.title
        for prefix, group in groups.items()
        for name, field in group.__pydantic_fields__.items()
        if field.title
    }


def _as_it_is(text: str) -> str:
    marked = _SPECIAL.sub(lambda found: _apart(found[0]) if found["joined"] else f"\\{found[0]}", text)
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", marked)  # a numbered list


def _apart(sign: str) -> str:
    r"""A character in its own element: Streamlit's ``:color`` directive without a colour, which is invisible."""
    return rf":color[\{sign}]"
