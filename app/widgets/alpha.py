"""Runs that fitted no transcription rate, and what their pages say in its place."""

from __future__ import annotations

from deepvelo import keys
from deepvelo.io.runs import Run

NO_ALPHA = (
    "This run has no α and no du/dt: its setting Unspliced velocity is off, so nothing decided them. "
    "To get them, train with that setting on."
)


def has_alpha(run: Run) -> bool:
    """Whether there are alphas: without, alpha and du/dt of our fits are NaN in every gene."""
    settings = run.info.settings
    return (
        settings.objective.unspliced_velocity if settings.method == "deepvelo" else keys.ALPHA in run.layers
    )
