"""The line or curve that scVelo's models fit to one gene, in its phase portrait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from deepvelo.tl.velocity.baselines import ScveloMode

if TYPE_CHECKING:
    import pandas as pd

FIT_TIME = "fit_t"  # scVelo's layer of the times it gives to cells, gene by gene
_N_POINTS = 200  # of a branch of the learned curve


@dataclass(frozen=True, kw_only=True)
class SteadyState:
    """Where a gene's spliced RNA neither rises nor falls: ``u = slope * s + intercept``, normalised counts."""

    slope: float
    intercept: float


@dataclass(frozen=True, kw_only=True)
class LearnedCurve:
    """The trajectory of one gene through its phase portrait; each branch ``(n_points, 2)``, spliced and unspliced.

    ``induction``
        Transcription is on: from the first state to the switch.
    ``repression``
        Transcription is off: from the switch to the last cell; no points where no cell is past the switch.
    """

    induction: np.ndarray
    repression: np.ndarray


def steady_state_line(fit: pd.Series, *, mode: ScveloMode | Literal["graphvelo"]) -> SteadyState | None:
    """The steady-state line that a mode of scVelo fitted to a gene.

    In the steady-state and the stochastic mode a cell's velocity is how far it lies above this line.

    Parameters
    ----------
    fit
        The gene's row of ``var``, as `deepvelo.tl.scvelo_velocity` leaves it.
    mode
        Which columns are read: a file may bring those of another fit. GraphVelo fits no line.

    Returns
    -------
    None where the mode fitted no line to the gene.
    """
    if mode == "graphvelo":
        return None
    # scVelo writes no column in which all genes would have the same value: 1 for beta, 0 for offsets.
    if mode == "dynamical":
        slope = _number(fit, "fit_gamma") / _number(fit, "fit_beta")
        intercept = _number(fit, "fit_u0", 0.0) - slope * _number(fit, "fit_s0", 0.0)
    else:
        beta = _number(fit, "velocity_beta", 1.0)
        slope = _number(fit, "velocity_gamma") / beta
        intercept = _number(fit, "velocity_offset", 0.0) / beta
    if not np.isfinite([slope, intercept]).all():
        return None
    return SteadyState(slope=slope, intercept=intercept)


def learned_curve(fit: pd.Series, *, last_time: float) -> LearnedCurve | None:
    """The curve that scVelo's dynamical mode (Bergen et al. 2020) learned for a gene.

    Parameters
    ----------
    fit
        The gene's row of ``var``, with ``fit_alpha``, ``fit_beta``, ``fit_gamma``, ``fit_scaling``, ``fit_t_``.
    last_time
        The latest time that the fit gave a cell: the gene's largest number in layer `FIT_TIME`.

    Returns
    -------
    None where the mode did not fit the gene.
    """
    # Seconds to import; pictures of other methods do without it.
    from scvelo.core import SplicingDynamics

    alpha, gamma = _number(fit, "fit_alpha"), _number(fit, "fit_gamma")
    scaling, switch = _number(fit, "fit_scaling", 1.0), _number(fit, "fit_t_")
    beta = _number(fit, "fit_beta") * scaling  # the fit is one to unspliced counts divided by the scaling
    if not np.isfinite([alpha, beta, gamma, switch, last_time]).all():
        return None
    if beta == gamma:  # scVelo's solution divides by their difference
        gamma *= 1 + 1e-6
    on = SplicingDynamics(alpha=alpha, beta=beta, gamma=gamma)
    top = on.get_solution(np.array([switch]))[0]
    off = SplicingDynamics(alpha=0, beta=beta, gamma=gamma, initial_state=list(top))
    times_off = np.linspace(0, last_time - switch, _N_POINTS if last_time > switch else 0)
    factor = np.array([scaling, 1.0])
    start = np.array([_number(fit, "fit_u0", 0.0), _number(fit, "fit_s0", 0.0)])
    induction, repression = (
        (model.get_solution(times) * factor + start)[:, ::-1]
        for model, times in ((on, np.linspace(0, switch, _N_POINTS)), (off, times_off))
    )
    return LearnedCurve(induction=induction, repression=repression)


def _number(fit: pd.Series, name: str, otherwise: float = np.nan) -> float:
    return float(fit.get(name, otherwise))
