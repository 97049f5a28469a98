"""Macrostates of a Markov chain of cells by GPCCA, without PETSc and SLEPc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from deepvelo.errors import InputError
from deepvelo.plan import MOST_FACTORED
from deepvelo.tl.graph.transitions import quiet_cellrank

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_STATES: Final = 50
_SPECTRUM: Final = 20  # leading eigenvalues searched for the gap, as in CellRank
# Cells that represent a state, as in CellRank; half of a smaller one.
CELLS_OF_A_STATE: Final = 30
SMALLEST_STATE: Final = 3
_MOST_ROUNDS: Final = 300  # of ARPACK; simulated tissue of 20,000 cells needs less than 20
_VISITED: Final = 1e-9
_DENSE: Final = 100  # cells; up to here the whole spectrum is as quick as a part of it


class Macrostate(NamedTuple):
    """A set of cells that a random walk rarely leaves."""

    cells: np.ndarray
    """Indices of the cells where the state's quasi-stationary distribution is largest, at most 30."""
    stability: float
    """Probability that a step from the state ends in it, the diagonal of GPCCA's coarse-grained matrix."""


def macrostates(matrix: csr_matrix, *, n_states: int | None = None, seed: int = 0) -> list[Macrostate]:
    """Macrostates of a connected chain (GPCCA; Reuter et al. 2018, J Chem Theory Comput 14:3579).

    Without SLEPc, pygpcca decomposes a dense matrix in cubic time: half a minute for 3,000 cells. Here it gets the few
    leading Schur vectors that it needs from ARPACK, which takes the sparse matrix.
    A state is represented by the cells where its quasi-stationary distribution is largest. CellRank takes the highest
    memberships, which are equal for all transient cells where the chain cannot return.

    Parameters
    ----------
    matrix
        ``(n_cells, n_cells)``, rows sum to 1; every cell can be reached from every other.
    n_states
        Number of states; by default where CellRank's criterion finds the gap between eigenvalues.
        One more where that would split a complex conjugate pair.
    seed
        Seed of ARPACK's start vector.

    Returns
    -------
    States of at least 3 cells; a single one of all cells where no gap is found.

    Raises
    ------
    InputError
        ARPACK does not converge for more than 5,000 cells; for fewer the matrix is factorised.
    """
    n_cells = matrix.shape[0]
    most = min(max(_SPECTRUM, n_states or 0), n_cells // SMALLEST_STATE)
    if most < 2 or n_states == 1:
        return [Macrostate(_gathering(matrix, np.arange(n_cells), seed=seed), 1.0)]
    values, vectors = leading_schur(matrix, n_vectors=most, seed=seed)
    wanted = min(n_states or _gap(values), len(values))
    if wanted < len(values) and _parts_a_pair(values, wanted):
        wanted += 1
    elif _parts_a_pair(values, wanted):
        wanted -= 1
    if wanted < 2:
        return [Macrostate(_gathering(matrix, np.arange(n_cells), seed=seed), 1.0)]
    state, stability = _clustered(matrix, values[:wanted], vectors[:, :wanted])
    found = [(np.flatnonzero(state == number), float(value)) for number, value in enumerate(stability)]
    return [
        Macrostate(_gathering(matrix, cells, seed=seed), value)
        for cells, value in found
        if len(cells) >= SMALLEST_STATE
    ]


def evenness(matrix: csr_matrix, *, seed: int = 0) -> float:
    """How evenly the stationary distribution covers the cells: 1, uniform; near 0, on few of them.

    The exponential of the entropy of the stationary distribution, as a share of the cells.
    """
    often = _stationary(matrix, seed=seed)
    often = often[often > 0]
    return float(np.exp(-(often * np.log(often)).sum()) / matrix.shape[0])


def leading_schur(matrix: csr_matrix, *, n_vectors: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenvalues of a chain, and a real basis of their invariant subspace.

    Returns
    -------
    Eigenvalues, largest real part first, of a complex pair the one with the positive imaginary part first; and
    vectors, shape ``(n_cells, n_vectors)``: the first is 1, all are orthogonal with mean square 1, and the first k
    span the invariant subspace of the first k eigenvalues, unless k splits a conjugate pair. One more than asked for where
    that would split a pair.
    """
    n_cells = matrix.shape[0]
    values, vectors = _leading(matrix, n_vectors + 1, seed=seed)
    # Of what is 1 but for rounding, the constant comes first, which all chains have.
    constant = np.where(values.real > 1 - 1e-9, np.abs(vectors.sum(axis=0)), 0).argmax()
    order = np.lexsort((-values.imag, -values.real.round(12), np.arange(len(values)) != constant))
    values, vectors = values[order], vectors[:, order]
    kept = n_vectors + 1 if _parts_a_pair(values, n_vectors) else n_vectors
    values, vectors = values[:kept], vectors[:, :kept]
    basis = np.where(values.imag < 0, vectors.imag, vectors.real)
    basis[:, 0] = 1.0
    q, r = np.linalg.qr(basis)
    return values, q * np.sign(np.diag(r)) * np.sqrt(n_cells)


def _clustered(matrix: csr_matrix, values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """State of every cell, and the states' stability."""
    with quiet_cellrank():
        import pygpcca  # type: ignore[import-untyped]

        gpcca = pygpcca.GPCCA(matrix, z="LR", method="krylov")
        # Where these are given it computes none; there is no public way to give them.
        gpcca._p_X, gpcca._p_eigenvalues = vectors, values
        gpcca._p_R = vectors.T @ (matrix @ vectors) / len(vectors)
        gpcca.optimize(len(values))
    return np.asarray(gpcca.macrostate_assignment), np.diag(gpcca.coarse_grained_transition_matrix)


def _gathering(matrix: csr_matrix, cells: np.ndarray, *, seed: int) -> np.ndarray:
    """The cells where the quasi-stationary distribution of these cells is largest."""
    often = _stationary(matrix[cells][:, cells], seed=seed)
    # Smaller values differ by rounding errors only.
    n_visited = int((often > _VISITED * often.max()).sum())
    n_cells = min(CELLS_OF_A_STATE, max(SMALLEST_STATE, min(n_visited, len(cells) // 2)))
    return np.sort(cells[np.argsort(-often, kind="stable")[:n_cells]])


def _stationary(matrix: csr_matrix, *, seed: int) -> np.ndarray:
    """Quasi-stationary distribution, ``(n_cells,)``, sums to 1."""
    _, vectors = _leading(matrix.T.tocsr(), 1, seed=seed)
    often = np.abs(vectors[:, 0].real)
    return np.asarray(often / often.sum())


def _leading(matrix: csr_matrix, n_vectors: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the largest real part, and right eigenvectors, unit length, largest first."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    n_cells = matrix.shape[0]
    if n_cells <= _DENSE:
        values, vectors = np.linalg.eig(matrix.toarray())
    else:
        start = np.random.default_rng(seed).random(n_cells)  # ARPACK's own start differs from call to call
        try:
            values, vectors = eigs(matrix, k=n_vectors, which="LR", v0=start, maxiter=_MOST_ROUNDS)
        except ArpackNoConvergence as error:
            if n_cells > MOST_FACTORED:
                msg = (
                    f"The macrostates of {n_cells:,} cells did not converge in {_MOST_ROUNDS} iterations, and an exact "
                    f"factorisation takes too much memory beyond {MOST_FACTORED:,} cells. Choose the terminal states by hand."
                )
                raise InputError(msg) from error
            values, vectors = eigs(matrix.tocsc(), k=n_vectors, sigma=1 + 1e-6, v0=start)
    order = np.argsort(-values.real, kind="stable")[:n_vectors]
    return values[order].astype(complex), vectors[:, order].astype(complex)


def _gap(values: np.ndarray) -> int:
    """Number of eigenvalues before the largest gap, penalised by how far the last of them is from 1."""
    real = values.real
    return int(np.argmax(real[:-1] - real[1:] - (1 - real[:-1]))) + 1


def _parts_a_pair(values: np.ndarray, n_kept: int) -> bool:
    """Whether the first eigenvalues end between two that are complex conjugates."""
    return bool(values[n_kept - 1].imag > 0)
