"""One finding of the quality gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Level = Literal["not checked", "green", "amber", "red"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)  # from unknown to worst

CONTROL: Final = "Against the shuffled control"
MOVEMENT: Final = "Movement of the tissue"
METHODS: Final = "Agreement of the methods"
SWEEP: Final = "Direction under other settings"
# Findings on the arrows; the others are on the data.
OF_ARROWS: Final = (CONTROL, MOVEMENT, METHODS, SWEEP)


@dataclass(frozen=True, kw_only=True)
class GateFinding:
    """One check of the quality gate: its level, the numbers behind it, the threshold and the reason for it.

    ``level``
        ``green``: no objection to the arrows; ``amber``: interpret them with care; ``red``: do not trust them;
        ``not checked``: not computed, and ``evidence`` says what is needed.
    """

    level: Level
    title: str
    evidence: str
    threshold: str
    why: str


def worst(findings: Iterable[GateFinding]) -> Level:
    """The worst level; green only if at least one finding on the arrows was checked."""
    found = list(findings)
    level: Level = max((finding.level for finding in found), key=LEVELS.index, default="not checked")
    of_arrows = (finding.level for finding in found if finding.title in OF_ARROWS)
    if level == "green" and all(checked == "not checked" for checked in of_arrows):
        return "not checked"
    return level


def graded(value: float, *, amber: float, red: float) -> Level:
    """The level of a score: amber below ``amber``, red below ``red``."""
    if value < red:
        return "red"
    return "amber" if value < amber else "green"
