"""The quality gate: findings on whether to trust the arrows of a run, each with evidence and threshold."""

from deepvelo.evaluation.gate.directions import Control, signal_in_words
from deepvelo.evaluation.gate.finding import LEVELS, GateFinding, Level, worst
from deepvelo.evaluation.gate.gate import quality_gate

__all__ = ["LEVELS", "Control", "GateFinding", "Level", "quality_gate", "signal_in_words", "worst"]
