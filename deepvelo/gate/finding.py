"""One line of the quality gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Level = Literal["not checked", "green", "amber", "red"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)  # from nothing known to worst


@dataclass(frozen=True, kw_only=True)
class GateFinding:
    """One thing looked at: how it stands, the numbers that say so, where the line is drawn, and why there.

    ``level``
        ``green``: nothing against the arrows; ``amber``: read them with care; ``red``: do not believe them;
        ``not checked``: not computed, and so nothing to rely on. ``evidence`` then says what is needed.
    """

    level: Level
    title: str
    evidence: str
    threshold: str
    why: str


def worst(findings: Iterable[GateFinding]) -> Level:
    """The worst level found; what was not checked decides only where nothing was."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="not checked")


def graded(value: float, *, amber: float, red: float) -> Level:
    """The level of a number that is bad when low: amber below ``amber``, red below ``red``."""
    if value < red:
        return "red"
    return "amber" if value < amber else "green"
