"""Abundance of genes and unspliceable transcripts as in droplet (10x) experiments."""

from __future__ import annotations

from typing import Final

import numpy as np

from deepvelo.datasets.kinetics import FloatArray

SPREAD: Final = 1.1  # standard deviation of the log of a gene's factor
UNSPLICEABLE: Final = 0.05  # share of transcripts that are never spliced


def draw_abundance(n_genes: int, *, rng: np.random.Generator) -> FloatArray:
    """Draw a factor of each gene's RNA relative to the even profile: lognormal with median 1, shape ``(n_genes,)``."""
    return np.exp(rng.normal(0.0, SPREAD, n_genes))
