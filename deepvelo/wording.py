"""Small words of messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Names in quotes, separated by commas; ``none`` for no names."""
    return "none" if not names else ", ".join(f"'{name}'" for name in names)


def decimal(value: float, places: int = 2) -> str:
    """``0.25``, ``1,250.00``, with a true minus before what is below 0 after rounding: ``−0.25``."""
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def number(n: int, what: str) -> str:
    """``1 cell``, ``2,000 cells``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
