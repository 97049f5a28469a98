"""How far results can be believed: comparison, controls and the quality gate."""
