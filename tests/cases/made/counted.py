"""Counts with fractions, logarithms, scaled moments, rows and columns swapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from tests.cases.made.cells import cells


def fractional_counts(out: Path) -> None:
    """Counts with fractions (EM, CellBender, SoupX); every other cell 4 times as deep. Seen in COMBINE-lab/alevin-fry#20, theislab/scvelo#862."""
    adata, rng = cells(), np.random.default_rng(3)
    for k in ("spliced", "unspliced"):
        matrix = adata.layers[k].toarray()
        matrix = np.where(matrix > 0, matrix - rng.choice([0, 0, 0, 0.5, 0.25, 0.3333], matrix.shape), 0)
        matrix[::2] *= 4
        adata.layers[k] = sparse.csr_matrix(matrix.astype(np.float32))
    adata.write_h5ad(out / "em.h5ad")


def velovi_scaled_moments(out: Path) -> None:
    """Ms, Mu scaled to 0..1 gene by gene (veloVI), raw counts beside them. Seen in theislab/scvelo#1228."""
    adata = cells()
    for layer, moment in (("spliced", "Ms"), ("unspliced", "Mu")):
        values = adata.layers[layer].toarray()
        values = (values + np.roll(values, 1, 0) + np.roll(values, -1, 0)) / 3
        adata.layers[moment] = ((values - values.min(0)) / (values.max(0) - values.min(0))).astype("f4")
    adata.write_h5ad(out / "v.h5ad")


def log_layers(out: Path) -> None:
    """The layers are log1p of 10,000 counts a cell; X has raw counts. Seen in theislab/scvelo#16."""
    adata = cells()
    for k in ("spliced", "unspliced"):
        values = adata.layers[k].toarray()
        adata.layers[k] = sparse.csr_matrix(
            np.log1p(1e4 * values / np.maximum(1, values.sum(1, keepdims=True))).astype("f4")
        )
    adata.write_h5ad(out / "l.h5ad")


def transposed(out: Path) -> None:
    """Genes in rows, cells in columns."""
    cells(150, 60).T.copy().write_h5ad(out / "t.h5ad")
