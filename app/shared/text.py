"""Words that several pages share, and text from files, visitors and addresses inside Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from deepvelo.config import Settings, sections
from deepvelo.wording import in_one_line

NEGATIVE_RATES = (
    "Rates are unconstrained here (setting Non-negative rates is off, as in the preset `published`): they may be "
    "negative, which no transcription, splicing or degradation can be."
)
T = TypeVar("T")
MOST_OF_A_NAME: Final = 120  # characters
_MOST_OF_A_SENTENCE: Final = 2000

# What a message quotes, and a setting as it names it, ``Setting `graph.n_neighbors` `` or without the first word.
_QUOTED_OR_NAMED = re.compile(
    r"""(?<!\w)(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)|(?:Setting )?`(?P<setting>(?:\w+\.)?\w+)`"""
)
# Streamlit turns these into links, icons, emoji, pictures and dashes even after a backslash, wherever they stand in one
# run of text; `_apart` makes two runs of them.
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
    """A name in Markdown, shown as it is: ``my_*best*_run``, ``a:b`` or ``http://a.b`` becomes no markup and no link.

    Every text that does not come from this program passes here where Markdown shows it: labels of widgets, options of
    radio buttons and segmented controls, help, captions and messages. Select boxes, tables and fields show text as it is
    by themselves, see `box_labels`. A name that is too long is shortened, as `deepvelo.wording.in_one_line` does.
    """
    return _as_it_is(one_line(text).strip())


def one_line(name: object) -> str:
    """A name in a select box that takes new ones; those of others are `box_labels`."""
    return in_one_line(name, most=MOST_OF_A_NAME)


def box_labels(values: Iterable[T], name: Callable[[T], str] = str) -> dict[T, str]:
    """What a select box shows for each of its values: the name in one line, with a number where it is there already.

    Streamlit tells options by what they show, so of two that look alike only the last could be chosen.
    """
    labels: dict[T, str] = {}
    seen: Counter[str] = Counter()
    for value in values:
        label = one_line(name(value))
        seen[label] += 1
        labels[value] = label if seen[label] == 1 else f"{label} ({seen[label]})"
    return labels


def with_labels(message: str) -> str:
    """A sentence in Markdown, shown as it is, but for settings: the label of its field stands before each.

    Files know a setting by its name, the form by its label. What the sentence quotes, a name of a file or an address,
    is shortened as in `escape`.
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
    """Of every setting with a title, by its name in messages and files."""
    groups: dict[str, Any] = {"": Settings} | {f"{name}.": group for name, group in sections().items()}
    return {
        f"{prefix}{name}": field.title
        for prefix, group in groups.items()
        for name, field in group.__pydantic_fields__.items()
        if field.title
    }


def _as_it_is(text: str) -> str:
    marked = _SPECIAL.sub(lambda found: _apart(found[0]) if found["joined"] else f"\\{found[0]}", text)
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", marked)  # a list that counts


def _apart(sign: str) -> str:
    r"""A sign in an element of its own: Streamlit's ``:color`` directive without a colour, which looks like nothing."""
    return rf":color[\{sign}]"
