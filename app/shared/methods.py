"""What runs of other methods than ours are called on pages, and what they lack."""

from __future__ import annotations

from app.shared.alpha import has_alpha
from deepvelo import config, keys
from deepvelo.io.runs import Run, RunInfo

_NO_RATES = (
    "scVelo's modes give every gene one rate for all cells: there are no rates by cell to show, "
    "and no confidence in direction."
)
_NO_RATES_OF_GRAPHVELO = "GraphVelo projects velocities and fits no rates: there are no rates by cell to show, and no confidence in direction."
_NOT_IMPORTED = (
    "This result was imported without rates for every cell and gene: there are no rates by cell to show, "
    "and no confidence in direction."
)


def is_ours(info: RunInfo) -> bool:
    """Whether DeepVelo was fitted in this program, with all its settings."""
    return info.settings.method == "deepvelo"


def is_imported(info: RunInfo) -> bool:
    """Whether another tool computed the velocities."""
    return info.settings.method == "imported"


def is_scvelo(info: RunInfo) -> bool:
    """Whether one of scVelo's modes was fitted."""
    return info.settings.method in ("steady_state", "stochastic", "dynamical")


def method_label(info: RunInfo) -> str:
    """What made the run, as people write it."""
    return config.method_label(info.settings)


def has_rates(run: Run) -> bool:
    """Whether there are rates for every cell and gene."""
    return keys.BETA in run.layers


def no_rates(info: RunInfo) -> str:
    """Why a run has none."""
    if info.settings.method == "graphvelo":
        return _NO_RATES_OF_GRAPHVELO
    return _NOT_IMPORTED if is_imported(info) else _NO_RATES


def has_du_dt(run: Run) -> bool:
    """Whether the method gives du/dt: of the others ``dynamical`` alone, ours unless it was left out."""
    return keys.VELOCITY_U in run.layers and (not is_ours(run.info) or has_alpha(run))
