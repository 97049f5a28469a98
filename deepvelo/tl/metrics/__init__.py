"""Scores of a velocity: consistency, cross-boundary correctness, agreement, confidence."""
