r"""The signal score: does unspliced RNA support the arrows more than in the shuffled control?

Consistency cannot decide this, because arrows averaged over a graph are smooth in tissue at steady state too. Differences
between groups cannot either, because the control keeps the mean unspliced RNA of each group. The control loses where
within its group a cell has more unspliced RNA than others, so the score measures this:

1. the surplus: a cell's unspliced counts, averaged with its neighbours of the same group, less what a line through
   the group's cells predicts from equally averaged spliced RNA, gene by gene. At steady state unspliced RNA follows
   spliced RNA and only noise is left. Neighbours are chosen by spliced RNA alone: neighbours chosen by unspliced RNA
   would share its noise, which the arrows follow.
2. the displacement: the mean displacement, in spliced RNA, to the neighbours that the arrow points to, minus the one to
   those it points away from, weighted by the cosines of the velocity graph; minus its mean in the group.
3. the projection :math:`a_i` of the surplus on the displacement, negative where it points back. Its balance over the
   cells is :math:`B = \sum a_i / \sum |a_i|`: 1 if all of it points forward, 0 if as much points back as forward.

Arrows fitted to noise follow its surplus a little, so the balance is above 0 in tissue at steady state. With the control's
balance C the signal is :math:`(B - C) / (1 - C)`, corrected for chance like Cohen's kappa. It has no fitted constant; the
choice of neighbours by spliced RNA alone was made on simulated tissue at steady state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp

from deepvelo import keys
from deepvelo.arrays import matrices
from deepvelo.errors import InputError
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

SIGNAL_DEFINITION: Final = (
    "Genes with more unspliced RNA than a cell's group and its spliced RNA explain should be those that rise where its "
    "arrow points: how much more of this surplus points forward than in the shuffled control, 0 no more, 1 all of it."
)
N_NEIGHBORS: Final = 30  # as for moments, by default here and in scVelo
_N_COMPONENTS = 20
_BLOCK_GENES = 256  # keeps the dense arrays small: cells x 256


def forward_surplus(adata: AnnData, *, cluster_key: str, n_neighbors: int = N_NEIGHBORS) -> np.ndarray:
    """Projection of each cell's unspliced surplus on its displacement; see the module docstring.

    Parameters
    ----------
    adata
        A fit by any method: layers ``spliced``, ``unspliced`` and ``Ms``, and the velocity graph in ``uns``.
    cluster_key
        The groups within which the control was shuffled.
    n_neighbors
        Number of neighbours over which counts are averaged, without those in other groups; 0 for none.

    Returns
    -------
    Shape ``(n_cells,)``, in counts of the median cell; 0 for a cell that is alone in its group or has no arrow.

    Raises
    ------
    InputError
        A layer, the groups or the velocity graph is missing.
    """
    _require(adata, cluster_key)
    groups = adata.obs[cluster_key].astype(str).to_numpy()
    center = _Centering(groups)
    arrows = sp.csr_matrix(adata.uns[keys.VELOCITY_GRAPH] + adata.uns[keys.VELOCITY_GRAPH_NEG])
    counts = [_cells_of_one_size(adata.layers[key]) for key in (keys.UNSPLICED, keys.SPLICED)]
    mean = _mean_within_groups(counts[1], groups, n_neighbors=min(n_neighbors, adata.n_obs - 1))
    product, length = np.zeros(adata.n_obs), np.zeros(adata.n_obs)
    for genes in _blocks(adata.n_vars):
        unspliced, spliced = (center((mean @ layer[:, genes]).toarray()) for layer in counts)
        surplus = unspliced - center.slopes(spliced, unspliced) * spliced
        ahead = center(_displacement(arrows, np.asarray(adata.layers[keys.MS][:, genes], dtype=np.float64)))
        product += (surplus * ahead).sum(axis=1)
        length += (ahead**2).sum(axis=1)
    return np.divide(product, np.sqrt(length), out=np.zeros_like(product), where=length > 0)


def forward_balance(surplus: np.ndarray) -> float:
    """Surplus that points forward minus surplus that points back, as a share of all, -1 to 1; 0 without any surplus.

    Parameters
    ----------
    surplus
        As `forward_surplus` gives it, shape ``(n_cells,)``.
    """
    total = float(np.abs(surplus).sum())
    return float(surplus.sum()) / total if total > 0 else 0.0


def signal_score(surplus: np.ndarray, controls: Sequence[np.ndarray]) -> float:
    """Support of a run's arrows by the counts beyond chance, 0 to 1; see `SIGNAL_DEFINITION`.

    Parameters
    ----------
    surplus
        `forward_surplus` of the run, shape ``(n_cells,)``.
    controls
        The same of one or more shuffled controls. Chance is their mean balance, at least 0.

    Returns
    -------
    0 if no better than the control, 1 if all of the surplus points forward.

    Raises
    ------
    InputError
        ``controls`` is empty.
    """
    if not controls:
        msg = "A signal score compares a run with its shuffled control. Got no control. Fit one."
        raise InputError(msg)
    chance = max(0.0, float(np.mean([forward_balance(control) for control in controls])))
    if chance == 1:
        return 0.0
    return max(0.0, (forward_balance(surplus) - chance) / (1 - chance))


class _Centering:
    """Subtract the mean of each group from values of shape ``(n_cells, n_genes)``."""

    def __init__(self, groups: np.ndarray) -> None:
        names, self._codes = np.unique(groups, return_inverse=True)
        ones = np.ones(len(groups))
        self._sums = sp.csr_matrix(
            (ones, (self._codes, np.arange(len(groups)))), shape=(len(names), len(groups))
        )
        self._sizes = np.bincount(self._codes)[:, None]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The values minus the mean of their group."""
        return values - (self._sums @ values / self._sizes)[self._codes]

    def slopes(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Slope of the line through a group's cells, gene by gene, from centred x and y, for every cell."""
        product, square = self._sums @ (x * y), self._sums @ x**2
        return np.divide(product, square, out=np.zeros_like(product), where=square > 0)[self._codes]


def _mean_within_groups(spliced: sp.csc_matrix, groups: np.ndarray, *, n_neighbors: int) -> sp.csr_matrix:
    """Matrix that averages over a cell and its neighbours in the same group; others would restore what was shuffled."""
    n_cells = len(groups)
    own = np.arange(n_cells)
    row = np.append(np.repeat(own, n_neighbors), own)
    col = np.append(_neighbors(spliced, n_neighbors), own)
    inside = (groups[row] == groups[col]).astype(float)
    members = sp.csr_matrix((inside, (row, col)), shape=(n_cells, n_cells))
    return sp.csr_matrix(sp.diags(1 / matrices.cell_totals(members)) @ members)


def _neighbors(spliced: sp.csc_matrix, n_neighbors: int) -> np.ndarray:
    """Nearest neighbours in log-normalised spliced counts, ``(n_cells, n_neighbors)``."""
    if n_neighbors == 0:
        return np.zeros((spliced.shape[0], 0), dtype=int)
    import torch
    from sklearn.decomposition import PCA

    from deepvelo.model.graph.cell_graph import nearest_neighbors

    # arpack subtracts the mean implicitly, so the matrix stays sparse
    logged = sp.csr_matrix(spliced.log1p(), dtype=np.float64)
    n_components = min(_N_COMPONENTS, min(logged.shape) - 1)
    components = PCA(n_components, svd_solver="arpack", random_state=0).fit_transform(logged)
    scores = torch.from_numpy(np.ascontiguousarray(components, dtype=np.float32))
    return nearest_neighbors(scores, n_neighbors=n_neighbors).numpy()


def _cells_of_one_size(counts: sp.spmatrix) -> sp.csc_matrix:
    """Counts scaled to the median cell, each layer by its own totals."""
    totals = matrices.cell_totals(counts)
    typical = float(np.median(totals[totals > 0])) if (totals > 0).any() else 1.0
    scale = np.divide(typical, totals, out=np.zeros_like(totals), where=totals > 0)
    return sp.csc_matrix(sp.diags(scale) @ sp.csr_matrix(counts))


def _displacement(arrows: sp.csr_matrix, spliced: np.ndarray) -> np.ndarray:
    """Mean displacement to a cell's neighbours, weighted by the cosines of the velocity graph."""
    weight = matrices.cell_totals(abs(arrows))
    total = arrows @ spliced - matrices.cell_totals(arrows)[:, None] * spliced
    return np.divide(total, weight[:, None], out=np.zeros_like(total), where=weight[:, None] > 0)


def _blocks(n_genes: int) -> Iterator[slice]:
    for start in range(0, n_genes, _BLOCK_GENES):
        yield slice(start, start + _BLOCK_GENES)


def _require(adata: AnnData, cluster_key: str) -> None:
    parts = {
        "layers": (adata.layers, (keys.SPLICED, keys.UNSPLICED, keys.MS)),
        "obs": (adata.obs, (cluster_key,)),
        "uns": (adata.uns, (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)),
    }
    missing = [
        f"{part}/{name}" for part, (found, names) in parts.items() for name in names if name not in found
    ]
    if missing:
        msg = f"The signal needs a whole run. It lacks {listed(missing)}. Open a finished run, or fit again."
        raise InputError(msg)
