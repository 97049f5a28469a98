"""Runs of scVelo's modes: how pages call them, and what they lack."""

from __future__ import annotations

from app.widgets.alpha import has_alpha
from deepvelo import keys
from deepvelo.config import METHOD_LABELS
from deepvelo.io.runs import Run, RunInfo

NO_RATES = (
    "scVelo's modes give every gene one rate for all cells: there are no rates by cell to show, "
    "and no confidence in direction."
)


def is_scvelo(info: RunInfo) -> bool:
    """Whether one of scVelo's modes made the run."""
    return info.settings.method != "deepvelo"


def method_label(info: RunInfo) -> str:
    """What made the run, as people write it."""
    return METHOD_LABELS[info.settings.method]


def has_du_dt(run: Run) -> bool:
    """Whether the method gives du/dt: of scVelo's modes ``dynamical`` alone, ours unless it was left out."""
    return keys.VELOCITY_U in run.layers and (is_scvelo(run.info) or has_alpha(run))
