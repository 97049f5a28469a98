"""Direction of the stretches of a lineage, chosen to explain the tissue as a whole.

Over a short stretch, u and s are nearly proportional, so both directions explain it equally well; only its fit with
adjacent stretches distinguishes them. Each choice of directions is scored by the share of the squared displacements that
neighbourhood rates explain in wide neighbourhoods, which span several stretches.
"""

from __future__ import annotations

import random
from itertools import combinations

import igraph
import numpy as np
import scipy.sparse as sp
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from deepvelo.model.assignment.kinetics import non_negative_fit
from deepvelo.model.graph.cell_graph import even_choice

# Cells per wide neighbourhood (at most half of all), number of neighbourhoods, and number of the most dynamic genes.
WIDE, MOST_NEIGHBOURHOODS, MOST_GENES = 600, 150, 300
_NEAREST, _RESOLUTION = 20, 2.0  # neighbours and Leiden resolution
# Minimum number of edges between adjacent stretches, and per cell of the smaller one. Noise joins unrelated types by
# fewer edges.
_LEAST_EDGES, _LEAST_EDGES_A_CELL = 3, 0.125
# Gamma / beta in a neighbourhood lies within this factor of the gene's steady-state slope. Without a bound, growth alone
# (gamma = 0) would explain any rise, and decay alone any fall, in either direction.
SLOPE_FACTOR = 1.5
# Minimum gain of a reversal in the explained share of the squared displacements.
REVERSAL_GAIN = 0.001
_MOST_REVERSALS = 20


class Layout:
    """Positions of cells and what follows from them alone; fixed while directions change.

    Parameters
    ----------
    positions
        Shape ``(n_cells, n_dimensions)``.

    Attributes
    ----------
    order
        An order of the cells that is invariant to permutation of the input, ``(n_cells,)``.
    graph
        Nearest neighbours of the cells in that order, sparse COO ``(n_cells, n_cells)``.
    centres, windows
        Central cells of `MOST_NEIGHBOURHOODS` wide neighbourhoods, ``(n_windows,)``, and the cells of each,
        ``(n_windows, n_in_window)``.
    """

    def __init__(self, positions: np.ndarray) -> None:
        n_cells = len(positions)
        self.order = np.lexsort(positions.T[::-1])  # Leiden communities depend on the order of nodes
        search = NearestNeighbors(n_neighbors=min(_NEAREST, n_cells - 1)).fit(positions[self.order])
        self.graph = search.kneighbors_graph(mode="connectivity").tocoo()
        self.centres = even_choice(torch.from_numpy(positions), min(MOST_NEIGHBOURHOODS, n_cells))
        window = NearestNeighbors(n_neighbors=max(1, min(WIDE, n_cells // 2))).fit(positions)
        self.windows = window.kneighbors(positions[self.centres], return_distance=False)


class Stretches:
    """Groups of neighbouring cells that move in the same direction, and their adjacency.

    Leiden communities (Traag et al. 2019, Scientific Reports) of the nearest-neighbour graph; edge weights are the
    cosines of the cells' displacements, at least 0. Cells without displacement form another stretch. Stretches do not
    depend on the order of cells.

    Parameters
    ----------
    layout
        Layout of the cells.
    displacements
        From each cell's past to its future, of spliced and unspliced RNA side by side, ``(n_cells, n_columns)``.

    Attributes
    ----------
    labels
        The stretch of every cell, int64 ``(n_cells,)``.
    beside
        Whether stretches are adjacent, bool ``(n_stretches, n_stretches)``.
    """

    def __init__(self, layout: Layout, displacements: np.ndarray, *, seed: int) -> None:
        n_cells, order, graph = len(displacements), layout.order, layout.graph
        lengths = np.linalg.norm(displacements, axis=1, keepdims=True)
        headings = np.divide(displacements, lengths, out=np.zeros_like(displacements), where=lengths > 0)[
            order
        ]
        agreement = np.einsum("ij,ij->i", headings[graph.row], headings[graph.col]).clip(0)
        matrix = sp.csr_matrix((agreement, (graph.row, graph.col)), shape=graph.shape)
        edges = sp.triu(matrix.maximum(matrix.T), k=1).tocoo()
        found = np.array(_communities(n_cells, edges, seed=seed), dtype=np.int64)
        found[lengths[order, 0] == 0] = n_cells  # they have no edges, so each would be a stretch
        found = np.unique(found, return_inverse=True)[1]
        self.labels = np.empty(n_cells, dtype=np.int64)
        self.labels[order] = found
        n_stretches = int(found.max()) + 1
        counts = sp.coo_matrix(
            (np.ones(edges.nnz), (found[edges.row], found[edges.col])), shape=(n_stretches, n_stretches)
        ).toarray()
        sizes = np.bincount(found)
        least = np.maximum(_LEAST_EDGES, _LEAST_EDGES_A_CELL * np.minimum.outer(sizes, sizes))
        self.beside = (counts + counts.T >= least) & ~np.eye(n_stretches, dtype=bool)

    @property
    def parts(self) -> np.ndarray:
        """Connected component of stretches of every cell, int ``(n_cells,)``."""
        return np.asarray(sp.csgraph.connected_components(self.beside, directed=False)[1][self.labels])

    @property
    def n_stretches(self) -> int:
        """Number of stretches."""
        return len(self.beside)

    def sets(self) -> list[np.ndarray]:
        """Sets that can be reversed together: single stretches, two or three adjacent ones, connected components."""
        around = [set(np.flatnonzero(row)) for row in self.beside]
        pairs = [(a, b) for a, b in combinations(range(self.n_stretches), 2) if self.beside[a, b]]
        triples = {tuple(sorted((a, b, c))) for a, b in pairs for c in (around[a] | around[b]) - {a, b}}
        n_parts, part = sp.csgraph.connected_components(self.beside, directed=False)
        parts = [tuple(np.flatnonzero(part == i)) for i in range(n_parts)]
        singles = [(a,) for a in range(self.n_stretches)]
        return [np.array(x) for x in sorted({*singles, *pairs, *triples, *parts})]


def _communities(n_cells: int, edges: sp.coo_matrix, *, seed: int) -> list[int]:
    graph = igraph.Graph(n=n_cells, edges=np.stack([edges.row, edges.col], axis=1))
    igraph.set_random_number_generator(random.Random(seed))
    try:
        return graph.community_leiden(
            objective_function="modularity",
            weights=edges.data.tolist(),
            resolution=_RESOLUTION,
            n_iterations=5,
        ).membership
    finally:
        igraph.set_random_number_generator(random)


class Evidence:
    r"""Share of the squared displacements explained by a choice of directions.

    .. math:: \min_{a, b \ge 0} \sum_{j \in N} (\sigma_j m_j - a (u_j - \tfrac{k}{f} s_j) - b (u_j - f k s_j))^2

    in every neighbourhood N and gene, with displacements m, directions :math:`\sigma`, the gene's steady-state slope k and
    the factor f: eq. 3 with :math:`\beta = a + b` and :math:`\gamma` between :math:`k \beta / f` and :math:`f k \beta`.
    The squares of a gene are weighted by 1 over the root of their mean over all cells: neither a few abundant genes nor
    the many nearly static ones dominate.

    Parameters
    ----------
    layout
        Layout of the cells.
    displacement, unspliced, spliced
        Shape ``(n_cells, n_genes)``.
    slope
        Steady-state slope of every gene, ``(n_genes,)``.
    stretches
        Stretches of the same cells.
    """

    def __init__(
        self,
        layout: Layout,
        displacement: Tensor,
        unspliced: Tensor,
        spliced: Tensor,
        *,
        slope: Tensor,
        stretches: Stretches,
    ) -> None:
        some = displacement.square().sum(0).topk(min(MOST_GENES, displacement.shape[1])).indices
        v, u, s, k = (x[..., some].double() for x in (displacement, unspliced, spliced, slope))
        scale = v.square().mean(0).clamp_min(torch.finfo(torch.float32).tiny) ** -0.25
        v, u, s = v * scale, u * scale, s * scale
        low, high = u - k / SLOPE_FACTOR * s, u - k * SLOPE_FACTOR * s
        sums = torch.zeros(len(layout.centres), len(v), dtype=torch.float64)
        sums = sums.scatter_(1, torch.from_numpy(layout.windows), 1.0)
        part = torch.from_numpy(stretches.parts)
        connected = part[None] == part[layout.centres, None]  # components share no rates
        sums = (sums * connected).to(v.device)
        self._squares = sums @ (low * low), sums @ (low * high), sums @ (high * high)
        labels = torch.from_numpy(stretches.labels).to(v.device)
        members = [torch.nonzero(labels == i).flatten() for i in range(stretches.n_stretches)]
        self._along_low = torch.stack([sums[:, own] @ (low[own] * v[own]) for own in members])
        self._along_high = torch.stack([sums[:, own] @ (high[own] * v[own]) for own in members])
        self._within = torch.stack([(sums[:, own] > 0).any(1) for own in members])
        by_cell = sums.sum(0) * (v * v).sum(1)
        self._total = float(by_cell.sum())
        self.shares = np.array([float(by_cell[own].sum()) for own in members]) / max(self._total, 1e-300)
        """Share of the squared displacements in each stretch, ``(n_stretches,)``."""

    def of(self, signs: np.ndarray) -> float:
        """Explained share with these directions, 1 or -1, ``(n_stretches,)``."""
        return self._share(self._explained(*self._sums(signs)).sum())

    def after_reversing(self, sets: list[np.ndarray], signs: np.ndarray) -> np.ndarray:
        """Explained share after each of the sets is reversed, ``(n_sets,)``."""
        sums = self._sums(signs)
        before = self._explained(*sums)
        found = []
        for members in sets:
            # Neighbourhoods without these stretches do not change.
            some = self._within[members].any(0).nonzero().flatten()
            reversals = 2 * torch.from_numpy(signs[members]).to(before)
            low, high = (
                x[some] - torch.tensordot(reversals, along[members][:, some], dims=1)
                for x, along in zip(sums, (self._along_low, self._along_high), strict=True)
            )
            found.append(self._share(before.sum() + (self._explained(low, high, some) - before[some]).sum()))
        return np.array(found)

    def _sums(self, signs: np.ndarray) -> tuple[Tensor, Tensor]:
        directions = torch.from_numpy(signs).to(self._along_low)
        low, high = (torch.tensordot(directions, x, dims=1) for x in (self._along_low, self._along_high))
        return low, high

    def _explained(self, along_low: Tensor, along_high: Tensor, some: Tensor | slice = slice(None)) -> Tensor:
        """Squares explained in all or some neighbourhoods, ``(n_neighbourhoods,)``."""
        low_low, low_high, high_high = (squares[some] for squares in self._squares)
        a, b = non_negative_fit(low_low, low_high, high_high, along_low, along_high)
        return (a * along_low + b * along_high).sum(1)

    def _share(self, explained: Tensor) -> float:
        return float(explained) / self._total if self._total > 0 else 0.0


def best_signs(evidence: Evidence, stretches: Stretches) -> np.ndarray:
    """Greedily reverse sets of stretches while the explained share increases; 1 or -1 (reversed) per stretch."""
    signs = np.ones(stretches.n_stretches)
    sets, best = stretches.sets(), evidence.of(signs)
    for _ in range(_MOST_REVERSALS):
        explained = evidence.after_reversing(sets, signs)
        if explained.max() < best + REVERSAL_GAIN:
            break
        signs[sets[int(explained.argmax())]] *= -1
        best = explained.max()
    return signs
