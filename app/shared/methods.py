"""Messages for runs without rates, or without alpha."""

from __future__ import annotations

from deepvelo.io.runs import RunInfo

NO_ALPHA = "This run has no α and no du/dt: preset published does not fit them. Train with preset default to get them."
_SO = "so this run has no rates per cell and no confidence in direction."
_NO_RATES = f"scVelo's modes fit one rate per gene for all cells, {_SO}"
_NO_RATES_OF_GRAPHVELO = f"GraphVelo projects velocities and fits no rates, {_SO}"
_NOT_IMPORTED = f"This result was imported without rates, {_SO}"


def no_rates(info: RunInfo) -> str:
    """The reason why a run has no rates."""
    if info.settings.method == "graphvelo":
        return _NO_RATES_OF_GRAPHVELO
    return _NOT_IMPORTED if info.is_imported else _NO_RATES
