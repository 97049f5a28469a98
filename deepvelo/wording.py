"""Small words of messages, and text from files and addresses as it can be shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

_HIDDEN: Final = frozenset(
    {"Cc", "Cf", "Cs"}
)  # Unicode's controls, formats (turn text round, zero width), surrogates
_JOINERS: Final = "\u200c\u200d"  # formats too, but letters of some scripts and emoji need them
_REPLACEMENT: Final = "\ufffd"
_LONGEST, _MOST = 100, 100  # characters of a name, and names, that a sentence quotes


def listed(names: Sequence[str]) -> str:
    """Names in quotes, separated by commas; ``none`` for no names. Long names are shortened, and many left out."""
    if not len(names):
        return "none"
    quoted = ", ".join(f"'{in_one_line(name, most=_LONGEST)}'" for name in names[:_MOST])
    return quoted if len(names) <= _MOST else f"{quoted} and {len(names) - _MOST:,} more"


def decimal(value: float, places: int = 2) -> str:
    """``0.25``, ``1,250.00``, with a true minus before what is below 0 after rounding: ``−0.25``."""
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def number(n: int, what: str) -> str:
    """``1 cell``, ``2,000 cells``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def in_code(value: Any) -> str:
    """A value as Python writes it, at most 100 characters long; whole numbers of thousands of digits by their size."""
    try:
        return in_one_line(repr(value), most=_LONGEST)
    except (ValueError, RecursionError):  # Python writes no whole number of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too large to be shown"


def in_bytes(n: int) -> str:
    """``20 kB``, ``200 MB``."""
    return f"{n / 1e6:g} MB" if n >= 1e6 else f"{n / 1e3:g} kB"


def in_one_line(text: object, *, most: int) -> str:
    """Text of a file or an address in one line, at most ``most`` characters long.

    Blanks of any kind are spaces, a character that cannot be seen is U+FFFD, and what is too long has an ellipsis in its
    middle, since names differ at their beginning or at their end.
    """
    text = str(text)
    if len(text) <= most and text.isprintable():
        return text
    if len(text) > most:
        end = most // 3
        text = f"{text[: most - end - 1]}…{text[len(text) - end :]}"
    return "".join(" " if sign.isspace() else _REPLACEMENT if _is_hidden(sign) else sign for sign in text)


def for_terminal(text: str) -> str:
    """Lines without what a terminal would obey, as ``ESC [31m`` in the name of a group."""
    return "\n".join(in_one_line(line, most=len(line)) for line in text.split("\n"))


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in _HIDDEN and sign not in _JOINERS
