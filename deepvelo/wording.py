"""Format names and numbers for messages, and sanitise text from files and addresses."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

_HIDDEN: Final = frozenset(
    {"Cc", "Cf", "Cs"}
)  # Unicode categories: control, format (bidirectional, zero width), surrogate
_JOINERS: Final = "\u200c\u200d"  # format characters that some scripts and emoji need
_REPLACEMENT: Final = "\ufffd"
_LONGEST, _MOST = 100, 100  # characters per name, and names per message


def listed(names: Sequence[str]) -> str:
    """Quoted names separated by commas; ``none`` for no names. Long names and long lists are shortened."""
    if not len(names):
        return "none"
    quoted = ", ".join(f"'{in_one_line(name, most=_LONGEST)}'" for name in names[:_MOST])
    return quoted if len(names) <= _MOST else f"{quoted} and {len(names) - _MOST:,} more"


def decimal(value: float, places: int = 2) -> str:
    """A number as ``0.25`` or ``1,250.00``, with a minus sign instead of a hyphen: ``−0.25``."""
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def number(n: int, what: str) -> str:
    """``1 cell``, ``2,000 cells``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def in_code(value: Any) -> str:
    """The ``repr`` of a value, at most 100 characters long."""
    try:
        return in_one_line(repr(value), most=_LONGEST)
    except (ValueError, RecursionError):  # Python refuses to write integers of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too large to be shown"


def in_bytes(n: int) -> str:
    """``20 kB``, ``200 MB``."""
    return f"{n / 1e6:g} MB" if n >= 1e6 else f"{n / 1e3:g} kB"


def in_one_line(text: object, *, most: int) -> str:
    """Untrusted text in one line of at most ``most`` characters.

    Whitespace becomes spaces, invisible characters become U+FFFD, and long text gets an ellipsis in the middle, because
    names usually differ at the start or the end.
    """
    text = str(text)
    if len(text) <= most and text.isprintable():
        return text
    if len(text) > most:
        end = most // 3
        text = f"{text[: most - end - 1]}…{text[len(text) - end :]}"
    return "".join(" " if sign.isspace() else _REPLACEMENT if _is_hidden(sign) else sign for sign in text)


def for_terminal(text: str) -> str:
    """Lines without terminal control sequences, such as ``ESC [31m`` in the name of a group."""
    return "\n".join(in_one_line(line, most=len(line)) for line in text.split("\n"))


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in _HIDDEN and sign not in _JOINERS
