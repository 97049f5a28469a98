"""Mean score of a gene set in every cell, against control genes of similar expression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepvelo.arrays.layers import Layer, gene_blocks
from deepvelo.errors import InputError


def mean_logs(layer: Layer) -> np.ndarray:
    """Mean over cells of log1p of every gene, read in blocks of genes.

    Parameters
    ----------
    layer
        Normalised values, 0 or more, shape ``(n_cells, n_genes)``, in memory or on disk.

    Returns
    -------
    Shape ``(n_genes,)``, float64; NaN for genes without a finite value in every cell.
    """
    means = np.empty(layer.shape[1])
    for genes in gene_blocks(layer):
        means[genes] = np.log1p(layer[:, genes]).mean(axis=0, dtype=np.float64)
    return means


def gene_set_score(
    layer: Layer,
    genes: Sequence[int],
    means: np.ndarray,
    *,
    n_controls: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> np.ndarray:
    r"""Mean of log1p over the genes of a set minus the mean over control genes.

    Genes are ranked by their mean and cut into ``n_bins`` bins of equal size. Every bin with a gene of the set gives up to
    ``n_controls`` random control genes. The score of cell :math:`i` with set :math:`S` and controls :math:`C` is
    :math:`\frac{1}{|S|} \sum_{g \in S} \log(1 + x_{ig}) - \frac{1}{|C|} \sum_{g \in C} \log(1 + x_{ig})`: 0 where the set is
    expressed as genes of its kind are. It is the score of Seurat (Satija et al. 2015) as `scanpy.tl.score_genes` computes it
    from all values in memory; this function reads only the genes that it needs.

    Parameters
    ----------
    layer
        Normalised values, 0 or more, shape ``(n_cells, n_genes)``, in memory or on disk.
    genes
        Columns of the set's genes.
    means
        `mean_logs` of the layer.
    seed
        Draws the control genes.

    Returns
    -------
    Shape ``(n_cells,)``, float32, in natural logarithms; the mean itself where no gene is left for the controls.

    Raises
    ------
    InputError
        No gene of the set has a finite value in every cell.

    Examples
    --------
    >>> layer = np.array([[0.0, np.e - 1, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    >>> gene_set_score(layer, [1], mean_logs(layer), n_bins=2).round(3)
    array([1., 0.], dtype=float32)
    """
    known = pd.Series(means)[np.isfinite(means)]
    members = np.intersect1d(np.asarray(genes, dtype=int), known.index)
    if not len(members):
        msg = "No gene of the set has values in every cell, so it has no score. Choose another set."
        raise InputError(msg)
    bins = known.rank(method="min") // max(1, round(len(known) / (n_bins - 1)))
    rng = np.random.RandomState(seed)  # as scanpy draws
    drawn = []
    for cut in np.unique(bins.loc[members]):
        of_bin = bins[bins == cut]
        drawn += list(
            (of_bin.sample(n_controls, random_state=rng) if n_controls < len(of_bin) else of_bin).index
        )
    controls = np.setdiff1d(drawn, members)
    weights = np.zeros(layer.shape[1], dtype=np.float32)
    weights[members] = 1 / len(members)
    weights[controls] = -1 / max(1, len(controls))
    chosen = weights != 0
    score = np.zeros(layer.shape[0], dtype=np.float32)
    for block in gene_blocks(layer):
        of_block = chosen[block]
        if of_block.any():
            score += np.log1p(layer[:, block][:, of_block]) @ weights[block][of_block]
    return score
