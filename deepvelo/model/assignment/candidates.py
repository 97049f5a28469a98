"""Candidate neighbours of each cell, and their split into future and past (eq. 4 to 6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Guards the mean of an empty set, as in the released code.
TINY = 1e-9


class FutureAndPast(NamedTuple):
    """Masks of the candidates in the future and in the past of each cell, bool, shape ``(n_cells, n_candidates)``."""

    future: Tensor
    past: Tensor


class Candidates:
    """Sparse arithmetic on each cell's candidates.

    The differences ``s_j - s_i`` would need cells x candidates x genes numbers. They are never formed: the sign
    of their cosine with the velocity needs only the inner products ``v_i . s_j``, and their means are products
    of a sparse matrix with the expression.

    Parameters
    ----------
    neighbors
        Candidates of every cell, shape ``(n_cells, n_candidates)``, excluding the cell itself.
    """

    def __init__(self, neighbors: Tensor) -> None:
        self.n_cells, self.n_candidates = neighbors.shape
        self.neighbors = neighbors
        device = neighbors.device
        own = torch.arange(self.n_cells, device=device)[:, None]
        # The cell itself is included, so that one kernel sums v_i . s_j and v_i . s_i in the same order: duplicates
        # of the cell then differ by exactly zero and are on neither side.
        columns, self._order = torch.cat([neighbors, own], dim=1).sort(dim=1)
        self._columns = columns.flatten()
        self._position = self._order.argsort(dim=1)
        self._rows = torch.arange(0, columns.numel() + 1, columns.shape[1], device=device)

    def no_products(self, dtype: torch.dtype, cells: Tensor | None = None) -> Tensor:
        """Zeros to which `products` of blocks of genes are added, sparse CSR ``(n_cells, n_cells)``.

        With ``cells``, only their rows; `spread` expands these to all cells.
        """
        nothing = self._matrix(torch.zeros_like(self._columns, dtype=dtype))
        return nothing if cells is None else self.rows(nothing, cells)

    def spread(self, products: Tensor, cells: Tensor) -> Tensor:
        """Expand products of some cells to a matrix of all cells, with zeros in the other rows."""
        values = products.values().new_zeros(self.n_cells, self.n_candidates + 1)
        values[cells] = products.values().view(len(cells), -1)
        return self._matrix(values)

    def products(self, velocity: Tensor, spliced: Tensor, *, add_to: Tensor) -> Tensor:
        """Compute inner products of every cell's velocity with its candidates' and its own expression.

        They are sums over the given genes, so blocks of genes can be added.

        Parameters
        ----------
        velocity, spliced
            Shape ``(n_cells, n_genes)``; velocity only of the cells whose products are needed.
        add_to
            Products of other genes, or `no_products`.

        Returns
        -------
        Sparse CSR of shape ``(n_cells, n_cells)``.
        """
        return torch.sparse.sampled_addmm(add_to, velocity, spliced.T)

    def along(self, products: Tensor) -> Tensor:
        """Position of each candidate along the velocity: ``v_i . (s_j - s_i)``, shape ``(n_cells, n_candidates)``."""
        values = products.values().view(self.n_cells, -1).gather(1, self._position)
        return values[:, :-1] - values[:, -1:]

    def sides(self, products: Tensor) -> FutureAndPast:
        """Future and past from the sign of ``v_i . (s_j - s_i)``, the sign of the cosine."""
        along = self.along(products)
        return FutureAndPast(along > 0, along < 0)

    def averaging(self, chosen: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """The `displacing` matrix of the mean over the chosen candidates, bool ``(n_cells, n_candidates)``.

        Cells without chosen candidates get 0.
        """
        return self.displacing(chosen.to(dtype) / (chosen.sum(dim=1, keepdim=True) + TINY))

    def rows(self, matrix: Tensor, cells: Tensor) -> Tensor:
        """Rows of some cells from a matrix of this class, sparse CSR ``(n_chosen, n_cells)``."""
        values, columns = (
            x.view(self.n_cells, -1)[cells].flatten() for x in (matrix.values(), self._columns)
        )
        rows = self._rows[: len(cells) + 1]
        return torch.sparse_csr_tensor(
            rows, columns, values, (len(cells), self.n_cells), check_invariants=False
        )

    def displacing(self, weight: Tensor) -> Tensor:
        """Sparse matrix whose product with expression x is the sum of ``weight_ij (x_j - x_i)`` over the candidates.

        ``weight`` has shape ``(n_cells, n_candidates)``; the matrix is CSR, ``(n_cells, n_cells)``. Apply it with
        `average`.
        """
        weight = torch.cat([weight, -weight.sum(dim=1, keepdim=True)], dim=1)
        return self._matrix(weight.gather(1, self._order))

    def _matrix(self, values: Tensor) -> Tensor:
        size = (self.n_cells, self.n_cells)
        return torch.sparse_csr_tensor(
            self._rows, self._columns, values.flatten(), size, check_invariants=False
        )
