"""Controls of a run: shuffled counts, cells at steady state, other seeds and a sweep of settings."""

from deepvelo.evaluation.controls.plans import (
    N_SEEDS,
    N_STEADY_STATE,
    PlannedFit,
    SweepValues,
    control_plan,
    finished,
    seeds_plan,
    steady_state_plan,
    sweep_plan,
)
from deepvelo.evaluation.controls.seeds import SEEDS_NOTE, seed_agreement
from deepvelo.evaluation.controls.sensitivity import conclusions, sensitivity_table
from deepvelo.evaluation.controls.signal import (
    SIGNAL_DEFINITION,
    forward_balance,
    forward_surplus,
    signal_score,
)
from deepvelo.evaluation.controls.steady_state import (
    STEADY_STATE_NOTE,
    beyond_steady_state,
    scores_of_run,
    steady_state_table,
)

__all__ = [
    "N_SEEDS",
    "N_STEADY_STATE",
    "SEEDS_NOTE",
    "SIGNAL_DEFINITION",
    "STEADY_STATE_NOTE",
    "PlannedFit",
    "SweepValues",
    "beyond_steady_state",
    "conclusions",
    "control_plan",
    "finished",
    "forward_balance",
    "forward_surplus",
    "scores_of_run",
    "seed_agreement",
    "seeds_plan",
    "sensitivity_table",
    "signal_score",
    "steady_state_plan",
    "steady_state_table",
    "sweep_plan",
]
