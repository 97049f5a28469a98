"""Choices of reading that a file leaves open."""

from __future__ import annotations

from typing import Final, Literal, get_args

Ambiguous = Literal["leave_out", "spliced", "unspliced"]
"""Where counts go that a counter could not call spliced or unspliced."""
AMBIGUOUS_CHOICES: Final[tuple[Ambiguous, ...]] = get_args(Ambiguous)
