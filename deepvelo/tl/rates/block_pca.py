"""Principal components of more columns than fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepvelo.arrays.layers import gene_blocks

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

EXTRA = 10  # additional dimensions: the last components converge sooner
TOLERANCE = 1e-4
ROUNDING = 1e-12  # as a share of the largest of A's eigenvalues
MOST_PASSES = 12


def block_pca(layers: Sequence[Layer], *, n_components: int, seed: int) -> np.ndarray:
    r"""Scores of the first principal components of layers side by side, read in blocks of genes.

    Block Lanczos from a random start (Musco & Musco 2015, NeurIPS): with the columns X, the space of
    :math:`Q, A Q, A^2 Q, \dots` with :math:`A = X X^T` soon holds A's first eigenvectors. Every pass over the blocks
    multiplies by A once. It ends when :math:`|A v - \lambda v|` of the requested vectors v is below a 10,000th of
    :math:`\lambda`, and after twelve passes.

    Parameters
    ----------
    layers
        Of the same cells, float32 ``(n_cells, n_genes)`` each, every gene of mean 0.
    n_components
        Fewer are returned if there are not more cells and genes than that.

    Returns
    -------
    Shape ``(n_cells, n_components)``, float32; the largest absolute score of every component is positive.
    """
    n_cells, n_columns = layers[0].shape[0], sum(layer.shape[1] for layer in layers)
    n_components = min(n_components, n_cells - 1)
    start = np.random.default_rng(seed).normal(size=(n_cells, min(n_cells, n_components + EXTRA)))
    newest = np.linalg.qr(start)[0]
    basis = newest[:, :0]
    n_components = max(1, min(n_components, n_columns - 1))
    inside: np.ndarray = np.zeros((0, 0))  # A between the vectors of the basis
    blocks = [(layer, genes) for layer in layers for genes in gene_blocks(layer)]
    for _ in range(MOST_PASSES):
        image = np.zeros_like(newest)
        for layer, genes in blocks:
            # Double precision: A has squares, in which single precision would lose all but the first components.
            columns = layer[:, genes].astype(np.float64)
            image += columns @ (columns.T @ newest)
        n_known, basis = basis.shape[1], np.concatenate([basis, newest], axis=1)
        along = basis.T @ image
        inside = np.pad(inside, (0, newest.shape[1]))
        inside[:, n_known:], inside[n_known:, :n_known] = along, along[:n_known].T
        values, vectors = np.linalg.eigh((inside + inside.T) / 2)
        values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
        image -= basis @ along
        residual = np.linalg.norm(image @ vectors[n_known:], axis=0)
        directions, lengths, _ = np.linalg.svd(image, full_matrices=False)
        newest = directions[:, lengths > ROUNDING * values[0]]
        if not newest.shape[1] or (residual <= TOLERANCE * values).all():
            break
        # Again: by rounding, short directions still contain much of the basis.
        newest = np.linalg.qr(newest - basis @ (basis.T @ newest))[0]
    scores = basis @ (vectors * np.sqrt(np.maximum(values, 0)))
    furthest = np.abs(scores).argmax(axis=0)
    signs = np.where(scores[furthest, np.arange(scores.shape[1])] < 0, -1, 1)
    return np.asarray(scores * signs, dtype=np.float32)
