"""Runs that fitted no transcription rate, and what their pages say in its place."""

from __future__ import annotations

from deepvelo import keys
from deepvelo.io.runs import Run

NO_ALPHA = "This run has no α and no du/dt: preset published does not fit them. Train with preset default to get them."


def has_alpha(run: Run) -> bool:
    """Whether there are alphas: without, alpha and du/dt of our fits are NaN in every gene."""
    settings = run.info.settings
    return settings.variant.unspliced_velocity if settings.method == "deepvelo" else keys.ALPHA in run.layers
