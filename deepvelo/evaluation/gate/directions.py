"""Whether the arrows stand up to a shuffled control, other methods and other settings."""

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
    """What a shuffled control says of its run: `deepvelo.evaluation.controls.signal_score` of the two, and its own consistency."""

    signal: float
    consistency: np.ndarray
    """Of the control's cells, shape ``(n_cells,)``."""


def better_than_control(adata: AnnData, control: Control | None) -> GateFinding:
    """Whether the run's arrows are supported by more than a shuffled control's."""
    finding = {
        "title": CONTROL,
        "threshold": f"signal: amber below {WEAK_SIGNAL:g}, red below {NO_SIGNAL:g}",
        "why": (
            "Arrows averaged over a graph are smooth whether cells move or not, so consistency does not decide; the "
            f"signal does. Simulated tissue at steady state stays below {NO_SIGNAL:g}; at {WEAK_SIGNAL:g} half of what could go "
            "beyond chance does. Few cells, shallow counts and finely cut groups lower it: more cells or coarser groups "
            "can settle it, else do not read the arrows within groups."
        ),
    }
    if control is None:
        evidence = "There is no shuffled control of this run. Fit one."
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
    """What a signal score says of the run, at the gate's thresholds."""
    if signal < NO_SIGNAL:
        return "As good as none: the arrows do not rest on the counts of single cells."
    if signal < WEAK_SIGNAL:
        return "Weak: the counts of single cells support the arrows in part."
    return "The counts of single cells support the arrows beyond chance."


def not_static(adata: AnnData) -> GateFinding:
    """Whether the data decide the directions: the share of undecided cells, and the mean probability to be right."""
    finding = {
        "title": MOVEMENT,
        "threshold": (
            f"cells with an undecided direction: amber from {SOME_UNDECIDED:.0%}, red from {MANY_UNDECIDED:.0%}; mean "
            f"probability that the direction is right: amber below {LOW_PROBABILITY:g}, red below {NO_PROBABILITY:g}"
        ),
        "why": (
            f"Arrows are drawn for tissue at steady state too. A coin flip is right half of the time, and no cell of simulated "
            f"tissue at steady state is given more than {NO_PROBABILITY:g}. {SOME_UNDECIDED:.0%} of the cells is a small cell type, "
            f"whose arrows are faded; with {MANY_UNDECIDED:.0%} the picture as a whole says nothing."
        ),
    }
    undecided = undecided_cells(adata.obs)
    if undecided is None or keys.CONFIDENCE not in adata.obs:
        evidence = (
            "This run has no probability that its directions are right: scVelo's modes, imported velocities and fits of "
            "earlier versions have none."
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
    """Whether methods agree, from the mean cosine over pairs of methods in every cell (`deepvelo.tl.metrics.agreement`)."""
    finding = {
        "title": METHODS,
        "threshold": f"cells with a mean cosine of 0 or less: amber from {SOME_CELLS:.0%}, red from {MANY_CELLS:.0%}",
        "why": (
            "At a cosine of 0 the methods have nothing in common. One of them may still be right: read the phase portraits "
            f"of the genes they disagree about. {SOME_CELLS:.0%} is a small cell type, {MANY_CELLS:.0%} changes the picture."
        ),
    }
    known = np.array([]) if agreement is None else agreement[np.isfinite(agreement)]
    if not known.size:
        evidence = "There is no run of another method on the same data to compare with."
        return GateFinding(level="not checked", evidence=evidence, **finding)
    against = float((known <= 0).mean())
    evidence = f"In {against:.0%} of {known.size:,} cells the mean cosine is 0 or less; over all cells it is {known.mean():.2f}."
    return GateFinding(level=_share_level(against), evidence=evidence, **finding)


def survives_sweep(table: pd.DataFrame | None) -> GateFinding:
    """Whether directions keep when a setting changes, from `deepvelo.evaluation.controls.sensitivity_table`."""
    finding = {
        "title": SWEEP,
        "threshold": (
            f"cells that turn round in the worst run: amber from {SOME_CELLS:.0%}, red from {MANY_CELLS:.0%}; "
            "red too where a boundary score changes its sign"
        ),
        "why": "Nothing in biology decides the number of neighbours or genes: what turns with it was never in the data.",
    }
    sweep = None if table is None else table.drop(index=BASE).dropna(subset=[REVERSED])
    if table is None or sweep is None or sweep.empty:
        return GateFinding(level="not checked", evidence="No run of a sweep is finished.", **finding)
    worst_run = sweep[REVERSED].idxmax()
    reversed_share = float(sweep[REVERSED].max())
    evidence = f"At worst {reversed_share:.0%} of the cells turn round, with {worst_run} ({number(len(sweep), 'run')})."
    flipped = [edge for edge in table.columns.drop([*COLUMNS]) if not with_opposite_sign(table[edge]).empty]
    if flipped:
        evidence += f" The boundary score changes its sign for {', '.join(flipped)}."
    return GateFinding(level="red" if flipped else _share_level(reversed_share), evidence=evidence, **finding)


def _share_level(share: float, *, some: float = SOME_CELLS, many: float = MANY_CELLS) -> Level:
    if share >= many:
        return "red"
    return "amber" if share >= some else "green"
