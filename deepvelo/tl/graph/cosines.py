"""Cosines of velocities with the ways from cell to cell, from sums over genes; no way is ever made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

_BLOCK_CELLS = 100_000  # about 25 million pairs, half a gigabyte; all genes are read once for these
_BLOCK_FINISHED = 10_000
# Of the squared lengths it is left from; cells as near as this are the same but for float32's last digit.
_ROUNDING = 1e-12

GeneBlocks = Iterable[tuple[np.ndarray, np.ndarray]]


def cosines_with_ways(
    near: sp.csr_matrix, gene_blocks: Callable[[], GeneBlocks], *, device: torch.device | str = "cpu"
) -> sp.csr_matrix:
    r"""Cosine of each cell's velocity with the way to every cell within two steps, each less its mean over genes.

    .. math:: \pi_{ij} = \cos(x_j - x_i, v_i)

    Parameters
    ----------
    near
        Boolean ``(n_cells, n_cells)``: the cells one step away, each cell itself among them.
    gene_blocks
        Called once per 100,000 cells: pairs of arrays ``(n_cells, n_genes_in_block)``, state x and velocity v.
    device
        Where to compute, in double precision.

    Returns
    -------
    Sparse float32 ``(n_cells, n_cells)``, no zeros stored: none to an equal cell, and none of a cell at rest.
    """
    # Cells that follow each other share most of their pairs, and find them in the processor's cache: thrice as fast.
    order = sp.csgraph.reverse_cuthill_mckee(near)
    near = near[order][:, order]
    n_cells = len(order)
    batches = [slice(start, min(start + _BLOCK_CELLS, n_cells)) for start in range(0, n_cells, _BLOCK_CELLS)]
    rows = [
        _rows(near[cells] @ near, gene_blocks(), order=order, cells=cells, device=device) for cells in batches
    ]
    back = np.argsort(order)
    cosines = sp.vstack(rows, format="csr")[back][:, back]
    cosines.sort_indices()
    return cosines


def cosines_of_pairs(
    pairs: sp.csr_matrix, gene_blocks: Callable[[], GeneBlocks], *, device: torch.device | str = "cpu"
) -> np.ndarray:
    """The same cosines of each cell's velocity with the ways to given cells.

    Parameters
    ----------
    pairs
        Sparse ``(n_cells, n_cells)``: the stored entries of a row are the cells that ways lead to.
    gene_blocks, device
        As for `cosines_with_ways`.

    Returns
    -------
    float64, one for each stored entry, in their order; 0 to an equal cell and of a cell at rest.
    """
    n_cells = pairs.shape[0]
    found = np.empty(pairs.nnz)
    for start in range(0, n_cells, _BLOCK_CELLS):
        cells = slice(start, min(start + _BLOCK_CELLS, n_cells))
        some = sp.csr_matrix(pairs[cells])
        found[pairs.indptr[cells.start] : pairs.indptr[cells.stop]] = _cosines(
            some, gene_blocks(), order=np.arange(n_cells), cells=cells, device=device, dtype=np.float64
        )
    return found


class _Sums(NamedTuple):
    """Over genes: of every pair of cells ``(n_pairs,)``, of every x ``(n_cells,)``, of every v ``(n_rows,)``; float64."""

    n_genes: int
    x_x: Tensor
    v_x: Tensor
    x: Tensor
    x_squared: Tensor
    v: Tensor
    v_squared: Tensor
    v_own_x: Tensor


def _rows(
    pairs: sp.csr_matrix, blocks: GeneBlocks, *, order: np.ndarray, cells: slice, device: torch.device | str
) -> sp.csr_matrix:
    """The cosines of some cells, in the given order."""
    pairs.sort_indices()
    cosines = _cosines(pairs, blocks, order=order, cells=cells, device=device, dtype=np.float32)
    rows = sp.csr_matrix((cosines, pairs.indices, pairs.indptr), shape=pairs.shape)
    rows.eliminate_zeros()
    return rows


def _cosines(
    pairs: sp.csr_matrix,
    blocks: GeneBlocks,
    *,
    order: np.ndarray,
    cells: slice,
    device: torch.device | str,
    dtype: type[np.floating],
) -> np.ndarray:
    """One for each stored entry."""
    sums = _sums(pairs, blocks, order=order, cells=cells, device=device)
    cosines = np.empty(pairs.nnz, dtype=dtype)
    for start in range(0, pairs.shape[0], _BLOCK_FINISHED):
        ends = pairs.indptr[start : start + _BLOCK_FINISHED + 1]
        row = torch.from_numpy(np.repeat(np.arange(start, start + len(ends) - 1), np.diff(ends)))
        column = torch.from_numpy(pairs.indices[ends[0] : ends[-1]].astype(np.int64))
        found = _cosine(sums, slice(ends[0], ends[-1]), row.to(device), column.to(device), first=cells.start)
        cosines[ends[0] : ends[-1]] = found.cpu().numpy()
    return cosines


def _sums(
    pairs: sp.csr_matrix, blocks: GeneBlocks, *, order: np.ndarray, cells: slice, device: torch.device | str
) -> _Sums:
    """Large products that cancel leave a way's length: hence double precision, and x from the genes' means."""
    x_x, v_x = _zeros(pairs, device), _zeros(pairs, device)
    x_sum, x_squared = (torch.zeros(len(order), dtype=torch.float64, device=device) for _ in range(2))
    v_sum, v_squared, v_own_x = (torch.zeros_like(x_sum[cells]) for _ in range(3))
    n_genes = 0
    for state, velocity in blocks:
        n_genes += state.shape[1]
        x = torch.from_numpy(state[order]).to(device, torch.float64)
        v = torch.from_numpy(velocity[order[cells]]).to(device, torch.float64)
        x -= x.mean(dim=0)
        torch.sparse.sampled_addmm(x_x, x[cells], x.T, out=x_x)
        torch.sparse.sampled_addmm(v_x, v, x.T, out=v_x)
        x_sum += x.sum(dim=1)
        x_squared += torch.linalg.vecdot(x, x)
        v_sum += v.sum(dim=1)
        v_squared += torch.linalg.vecdot(v, v)
        v_own_x += torch.linalg.vecdot(v, x[cells])
    return _Sums(n_genes, x_x.values(), v_x.values(), x_sum, x_squared, v_sum, v_squared, v_own_x)


def _cosine(sums: _Sums, part: slice, row: Tensor, column: Tensor, *, first: int) -> Tensor:
    """Cosines of some pairs, whose rows are counted from cell ``first`` on."""
    own = row + first
    way = sums.x[column] - sums.x[own]
    along = sums.v_x[part] - sums.v_own_x[row] - sums.v[row] / sums.n_genes * way
    squares = sums.x_squared[column] + sums.x_squared[own]
    length = _beyond_rounding(squares - 2 * sums.x_x[part] - way.square() / sums.n_genes, of=squares)
    speed = _beyond_rounding(sums.v_squared - sums.v.square() / sums.n_genes, of=sums.v_squared)
    # 0 / 0 and, from rounding, 1 / 0: no way or no velocity, as scVelo counts them.
    return (along / (length * speed[row]).sqrt()).nan_to_num(0, 0, 0).clamp(-1, 1)


def _zeros(pairs: sp.csr_matrix, device: torch.device | str) -> Tensor:
    """A sum for every pair, as torch's sparse rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # torch calls them new
        return torch.sparse_csr_tensor(
            torch.from_numpy(pairs.indptr), torch.from_numpy(pairs.indices),
            torch.zeros(pairs.nnz, dtype=torch.float64), size=pairs.shape, device=device, check_invariants=False,
        )  # fmt: skip


def _beyond_rounding(squared: Tensor, *, of: Tensor) -> Tensor:
    return torch.where(squared > _ROUNDING * of, squared, 0.0)
