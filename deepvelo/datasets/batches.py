"""Batch effects on counts, which leave the molecules unchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepvelo.datasets.kinetics import FloatArray, IntArray
from deepvelo.datasets.tissue import Tissue


@dataclass(frozen=True)
class BatchEffects:
    """The batch of every cell, and what was caught there beside the cell's own ``size``."""

    names: tuple[str, ...]
    batch: IntArray
    """Index of each cell's batch, shape ``(n_cells,)``."""
    depth: FloatArray
    """How much of its cells' RNA a batch caught, shape ``(n_batches,)``; it is part of a cell's ``size``."""
    genes: FloatArray
    """Capture factor of each gene, spliced and unspliced, shape ``(n_batches, n_genes)``; 1 in the mean."""
    unspliced: FloatArray
    """Capture factor of unspliced RNA, shape ``(n_batches,)``."""


def draw_batches(
    tissue: Tissue, stage: IntArray, *, n_genes: int, rng: np.random.Generator
) -> BatchEffects | None:
    """Deal the cells of every stage out to the batches in equal numbers; None if there are no batches."""
    if not tissue.batches:
        return None
    by_stage = np.lexsort((rng.random(len(stage)), stage))
    batch = np.empty(len(stage), dtype=np.int64)
    batch[by_stage] = np.arange(len(stage)) % len(tissue.batches)
    spread = np.array([[part.gene_spread] for part in tissue.batches])
    noise = rng.normal(0.0, 1.0, (len(tissue.batches), n_genes))
    return BatchEffects(
        names=tuple(part.name for part in tissue.batches),
        batch=batch,
        depth=np.array([part.depth for part in tissue.batches]),
        genes=np.exp(spread * noise - spread**2 / 2),
        unspliced=np.array([part.unspliced for part in tissue.batches]),
    )
