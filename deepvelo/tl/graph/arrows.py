"""Arrows on an embedding: the mean displacement of each cell along the velocity graph."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import choices, keys
from deepvelo.tl.graph.velocity_graph import require_graph, self_transitions

_BLOCK_CELLS = 1000  # a quarter of a million pairs, in up to fifty dimensions
_SHARPNESS = 10.0  # scVelo's: how much likelier a larger cosine is


def velocity_embedding(adata: AnnData, *, basis: str | None = None) -> None:
    r"""Project velocities onto an embedding, in place.

    .. math:: \nu_i = \sum_j (p_{ij} - \bar p_i) \frac{y_j - y_i}{|y_j - y_i|}, \quad
              p_{ij} \propto \mathrm{sign}(\pi_{ij}) (e^{10 |\pi_{ij}|} - 1)

    The numbers of ``scvelo.tl.velocity_embedding`` with its defaults (Bergen et al. 2020, Nature Biotechnology
    38:1408; 0.3.4), with its scale for drawing.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity_graph` leaves it, with the embedding in ``obsm``.
    basis
        Embedding, with or without ``X_``. By default the one that `deepvelo.pp.moments` chose, else UMAP.

    Sets
    ----
    obsm ``velocity_<basis>``
        Shape of the embedding, float64; NaN for a cell without cosines or without coordinates, which other cells' arrows
        pass over. Length says how well a cell's neighbours agree with its velocity, not how fast the cell changes.

    Raises
    ------
    InputError
        No velocity graph, or no such embedding.

    Examples
    --------
    >>> dv.tl.velocity_embedding(fitted, basis="umap")
    >>> fitted.obsm["velocity_umap"].shape == fitted.obsm["X_umap"].shape
    True
    """
    require_graph(adata)
    name = choices.embedding(adata, basis)
    positive, negative = (
        sp.csr_matrix(adata.uns[key]) for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)
    )
    adata.obsm[keys.velocity_embedding(name)] = projected(
        positive, negative, np.asarray(adata.obsm[keys.embedding(name)], dtype=np.float64)
    )
    # scVelo's plots recompute the arrows of embeddings that are not listed here.
    parameters = adata.uns.get(keys.VELOCITY_PARAMS)
    if parameters is not None:
        parameters["embeddings"] = [*parameters.get("embeddings", []), name]


def projected(positive: sp.csr_matrix, negative: sp.csr_matrix, embedding: np.ndarray) -> np.ndarray:
    """Arrows on an embedding from the velocity graph; the numbers of `velocity_embedding`.

    Parameters
    ----------
    positive, negative
        Cosines above and below 0, ``(n_cells, n_cells)``.
    embedding
        Coordinates, float64 ``(n_cells, n_dimensions)``; NaN in cells without a place.

    Returns
    -------
    Shape of the embedding, float64; NaN in cells without an arrow.
    """
    stay = np.expm1(_SHARPNESS * self_transitions(positive))
    placed = np.isfinite(embedding).all(axis=1)
    points = embedding[placed]
    if not placed.all():
        positive, negative = (graph[placed][:, placed] for graph in (positive, negative))
        stay = stay[placed]
    found = np.empty_like(points)
    for start in range(0, len(points), _BLOCK_CELLS):
        cells = slice(start, start + _BLOCK_CELLS)
        cosines = sp.csr_matrix(positive[cells] + negative[cells])
        found[cells] = _mean_displacements(cosines, stay[cells], points=points, start=start)
    arrows = np.full_like(embedding, np.nan)
    arrows[placed] = found / (3 * _drawing_scale(points, found))
    return arrows


def _mean_displacements(
    cosines: sp.csr_matrix, stay: np.ndarray, *, points: np.ndarray, start: int
) -> np.ndarray:
    """Arrows of the cells from ``start`` on, before scaling; ``stay`` is the weight of staying."""
    n_cells = cosines.shape[0]
    row, column = np.repeat(np.arange(n_cells), np.diff(cosines.indptr)), cosines.indices
    cosine = cosines.data.astype(np.float64)
    weight = np.sign(cosine) * np.expm1(_SHARPNESS * np.abs(cosine))
    with np.errstate(invalid="ignore", divide="ignore"):
        weight /= (np.bincount(row, np.abs(weight), n_cells) + stay)[row]
        mean = np.bincount(row, weight, n_cells) / np.bincount(row, minlength=n_cells)
        distance = np.linalg.norm(points[column] - points[start + row], axis=1)
        pull = np.where(distance > 0, (weight - mean[row]) / distance, 0)
    pulls = sp.csr_matrix((pull, column, cosines.indptr), shape=cosines.shape)
    arrows = pulls @ points - np.asarray(pulls.sum(axis=1)) * points[start : start + n_cells]
    arrows[np.isnan(mean)] = np.nan
    return np.asarray(arrows)


def _drawing_scale(points: np.ndarray, arrows: np.ndarray) -> float:
    """By how much matplotlib would shorten the arrows when it draws them on the first two dimensions."""
    from matplotlib.figure import Figure

    extent = float(np.abs(points).max()) or 1.0
    # Not pyplot's figure: arrows are computed in threads.
    drawn = Figure().add_subplot().quiver(
        *(points[:, :2] / extent).T, *arrows[:, :2].T, angles="xy", scale_units="xy", scale=None
    )  # fmt: skip
    drawn._init()  # type: ignore[attr-defined]  # matplotlib chooses when it draws, or here
    assert drawn.scale is not None
    return float(drawn.scale / extent)
