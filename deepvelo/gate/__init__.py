"""When not to believe a picture: findings on a run, each with its evidence and its threshold."""

from deepvelo.gate.directions import Control, signal_in_words
from deepvelo.gate.finding import LEVELS, GateFinding, Level, worst
from deepvelo.gate.gate import quality_gate

__all__ = ["LEVELS", "Control", "GateFinding", "Level", "quality_gate", "signal_in_words", "worst"]
