"""Findings on the arrows: shuffled control, undecided cells, other methods and other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.evaluation.controls.sensitivity import BASE, COLUMNS, FEW_REVERSED, REVERSED, with_opposite_sign
from deepvelo.evaluation.gate.finding import (
    CONTROL,
    LEVELS,
    METHODS,
    MOVEMENT,
    SWEEP,
    GateFinding,
    Level,
    graded,
)
from deepvelo.tl.metrics.effect_size import mann_whitney
from deepvelo.undecided import share_in_words, undecided_cells
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

WEAK_SIGNAL, NO_SIGNAL = 0.5, 0.2
LOW_PROBABILITY, NO_PROBABILITY = 0.8, 0.6  # of a right direction, mean over the cells; a coin flip is 0.5
SOME_UNDECIDED, MANY_UNDECIDED = 0.1, 0.5  # shares of the cells
SOME_CELLS, MANY_CELLS = FEW_REVERSED, 0.3


class Control(NamedTuple):
    """Signal score of a run against its shuffled control, and the consistency of the control."""

    signal: float
    consistency: np.ndarray
    """Consistency of the control's cells, shape ``(n_cells,)``."""


def better_than_control(adata: AnnData, control: Control | None) -> GateFinding:
    """Whether the counts support the run's arrows more than those of a shuffled control."""
    finding = {
        "title": CONTROL,
        "threshold": f"signal: amber below {WEAK_SIGNAL:g}, red below {NO_SIGNAL:g}",
        "why": (
            "Arrows averaged over a graph are smooth whether cells move or not, so the signal decides and not the "
            f"consistency. Simulated tissue at steady state stays below {NO_SIGNAL:g}; {WEAK_SIGNAL:g} is halfway between "
            "chance and a perfect signal. Few cells, shallow counts and small groups lower it: use more cells or coarser "
            "groups, or do not interpret the arrows within groups."
        ),
    }
    if control is None:
        evidence = "This run has no shuffled control. Fit one."
        return GateFinding(level="not checked", evidence=evidence, **finding)
    signal, of_control = control
    own = adata.obs[keys.CONSISTENCY].to_numpy(dtype=float)
    effect = mann_whitney(own, of_control).effect
    evidence = (
        f"Signal {signal:.2f}. Consistency {np.nanmean(own):.2f}, of the control {np.nanmean(of_control):.2f}: "
        f"a cell of the run beats one of the control in {effect:.0%} of pairs."
    )
    return GateFinding(level=graded(signal, amber=WEAK_SIGNAL, red=NO_SIGNAL), evidence=evidence, **finding)


def signal_in_words(signal: float) -> str:
    """A signal score in words, by the gate's thresholds."""
    if signal < NO_SIGNAL:
        return "No signal: the counts of single cells do not support the arrows."
    if signal < WEAK_SIGNAL:
        return "Weak signal: the counts of single cells support the arrows in part."
    return "The counts of single cells support the arrows beyond chance."


def not_static(adata: AnnData) -> GateFinding:
    """Whether the data decide the directions: share of undecided cells, and mean probability of a right direction."""
    finding = {
        "title": MOVEMENT,
        "threshold": (
            f"cells with an undecided direction: amber from {SOME_UNDECIDED:.0%}, red from {MANY_UNDECIDED:.0%}; mean "
            f"probability that the direction is right: amber below {LOW_PROBABILITY:g}, red below {NO_PROBABILITY:g}"
        ),
        "why": (
            f"Arrows are drawn for tissue at steady state too. A coin flip is right half of the time, and no cell of simulated "
            f"tissue at steady state gets a probability above {NO_PROBABILITY:g}. {SOME_UNDECIDED:.0%} of the cells is a small cell type, "
            f"whose arrows are faded; with {MANY_UNDECIDED:.0%} undecided cells do not interpret the plot."
        ),
    }
    undecided = undecided_cells(adata.obs)
    if undecided is None or keys.CONFIDENCE not in adata.obs:
        evidence = (
            "This run has no probabilities of right directions: scVelo's modes, imported velocities and fits of earlier "
            "versions have none."
        )
        return GateFinding(level="not checked", evidence=evidence, **finding)
    mean = float(np.nanmean(adata.obs[keys.CONFIDENCE].to_numpy(dtype=float)))
    by_share = _share_level(float(undecided.mean()), some=SOME_UNDECIDED, many=MANY_UNDECIDED)
    by_mean = graded(mean, amber=LOW_PROBABILITY, red=NO_PROBABILITY)
    evidence = (
        f"The data do not decide the direction of {share_in_words(undecided)} of the cells; "
        f"mean probability that the direction is right: {mean:.2f}."
    )
    return GateFinding(level=max(by_share, by_mean, key=LEVELS.index), evidence=evidence, **finding)


def methods_agree(agreement: np.ndarray | None) -> GateFinding:
    """Whether methods agree, by the mean cosine over pairs of methods in every cell (`deepvelo.tl.metrics.agreement`)."""
    finding = {
        "title": METHODS,
        "threshold": f"cells with a mean cosine of 0 or less: amber from {SOME_CELLS:.0%}, red from {MANY_CELLS:.0%}",
        "why": (
            "At a cosine of 0 the directions are unrelated. One method may still be right: inspect the phase portraits of "
            f"the genes that disagree. {SOME_CELLS:.0%} is a small cell type, {MANY_CELLS:.0%} changes the conclusion."
        ),
    }
    known = np.array([]) if agreement is None else agreement[np.isfinite(agreement)]
    if not known.size:
        evidence = "No run of another method on the same data exists."
        return GateFinding(level="not checked", evidence=evidence, **finding)
    against = float((known <= 0).mean())
    evidence = f"In {against:.0%} of {known.size:,} cells the mean cosine is 0 or less; over all cells it is {known.mean():.2f}."
    return GateFinding(level=_share_level(against), evidence=evidence, **finding)


def survives_sweep(table: pd.DataFrame | None) -> GateFinding:
    """Whether directions survive other settings, by `deepvelo.evaluation.controls.sensitivity_table`."""
    finding = {
        "title": SWEEP,
        "threshold": (
            f"cells that reverse in the worst run: amber from {SOME_CELLS:.0%}, red from {MANY_CELLS:.0%}; "
            "red too if CBDir of an edge changes its sign"
        ),
        "why": "Biology does not depend on the number of neighbours or genes: directions that reverse with it are not in the data.",
    }
    sweep = None if table is None else table.drop(index=BASE).dropna(subset=[REVERSED])
    if table is None or sweep is None or sweep.empty:
        return GateFinding(level="not checked", evidence="No run of a sweep is finished.", **finding)
    worst_run = sweep[REVERSED].idxmax()
    reversed_share = float(sweep[REVERSED].max())
    evidence = (
        f"At worst {reversed_share:.0%} of the cells reverse, with {worst_run} ({number(len(sweep), 'run')})."
    )
    flipped = [edge for edge in table.columns.drop([*COLUMNS]) if not with_opposite_sign(table[edge]).empty]
    if flipped:
        evidence += f" CBDir changes its sign for {', '.join(flipped)}."
    return GateFinding(level="red" if flipped else _share_level(reversed_share), evidence=evidence, **finding)


def _share_level(share: float, *, some: float = SOME_CELLS, many: float = MANY_CELLS) -> Level:
    if share >= many:
        return "red"
    return "amber" if share >= some else "green"
