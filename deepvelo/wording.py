"""Small words of messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Names in quotes, separated by commas; ``none`` for no names."""
    return "none" if not names else ", ".join(f"'{name}'" for name in names)


def number(n: int, what: str) -> str:
    """``1 cell``, ``2,000 cells``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
