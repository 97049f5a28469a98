"""Runs that fitted no transcription rate, and what their pages say in its place."""

from __future__ import annotations

from deepvelo.io.runs import Run

NO_ALPHA = (
    "This run has no α and no du/dt: its setting Unspliced velocity is off, so nothing decided them. "
    "To get them, train with that setting on."
)


def has_alpha(run: Run) -> bool:
    """Whether the objective decided alpha and du/dt; without, both are NaN in every gene."""
    return run.info.settings.objective.unspliced_velocity
