"""Whether a run's arrows survive what they should: a shuffled control, other seeds, other settings."""

from deepvelo.controls.plans import (
    N_SEEDS,
    PlannedFit,
    SweepValues,
    control_plan,
    finished,
    seeds_plan,
    sweep_plan,
)
from deepvelo.controls.seeds import SEEDS_NOTE, seed_agreement
from deepvelo.controls.sensitivity import conclusions, sensitivity_table
from deepvelo.controls.signal import SIGNAL_DEFINITION, forward_balance, signal_score, surplus_along

__all__ = [
    "N_SEEDS",
    "SEEDS_NOTE",
    "SIGNAL_DEFINITION",
    "PlannedFit",
    "SweepValues",
    "conclusions",
    "control_plan",
    "finished",
    "forward_balance",
    "seed_agreement",
    "seeds_plan",
    "sensitivity_table",
    "signal_score",
    "surplus_along",
    "sweep_plan",
]
