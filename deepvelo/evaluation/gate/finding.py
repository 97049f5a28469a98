"""One line of the quality gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Level = Literal["not checked", "green", "amber", "red"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)  # from nothing known to worst

CONTROL: Final = "Against the shuffled control"
MOVEMENT: Final = "Movement of the tissue"
METHODS: Final = "Agreement of the methods"
SWEEP: Final = "Direction under other settings"
# Titles of the findings on the arrows themselves; the others are on the data.
OF_ARROWS: Final = (CONTROL, MOVEMENT, METHODS, SWEEP)


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
    """The worst level found; never green unless something about the arrows themselves was checked."""
    found = list(findings)
    level: Level = max((finding.level for finding in found), key=LEVELS.index, default="not checked")
    of_arrows = (finding.level for finding in found if finding.title in OF_ARROWS)
    if level == "green" and all(checked == "not checked" for checked in of_arrows):
        return "not checked"
    return level


def graded(value: float, *, amber: float, red: float) -> Level:
    """The level of a number that is bad when low: amber below ``amber``, red below ``red``."""
    if value < red:
        return "red"
    return "amber" if value < amber else "green"
