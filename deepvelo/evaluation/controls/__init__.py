"""Whether a run's arrows survive what they should: shuffling, cells at rest, other seeds, other settings."""

from deepvelo.evaluation.controls.at_rest import AT_REST_NOTE, at_rest_table, beyond_rest, scores_of_run
from deepvelo.evaluation.controls.plans import (
    N_AT_REST,
    N_SEEDS,
    PlannedFit,
    SweepValues,
    at_rest_plan,
    control_plan,
    finished,
    seeds_plan,
    sweep_plan,
)
from deepvelo.evaluation.controls.seeds import SEEDS_NOTE, seed_agreement
from deepvelo.evaluation.controls.sensitivity import conclusions, sensitivity_table
from deepvelo.evaluation.controls.signal import (
    SIGNAL_DEFINITION,
    forward_balance,
    signal_score,
    surplus_along,
)

__all__ = [
    "AT_REST_NOTE",
    "N_AT_REST",
    "N_SEEDS",
    "SEEDS_NOTE",
    "SIGNAL_DEFINITION",
    "PlannedFit",
    "SweepValues",
    "at_rest_plan",
    "at_rest_table",
    "beyond_rest",
    "conclusions",
    "control_plan",
    "finished",
    "forward_balance",
    "scores_of_run",
    "seed_agreement",
    "seeds_plan",
    "sensitivity_table",
    "signal_score",
    "surplus_along",
    "sweep_plan",
]
