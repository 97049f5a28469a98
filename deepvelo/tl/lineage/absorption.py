"""Fate probabilities and mean absorption times of a Markov chain of cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from deepvelo.errors import InputError
from deepvelo.tl.graph.transitions import quiet_cellrank

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEVER: Final = 1e12  # steps; beyond this the solvers are not accurate


def absorption(
    matrix: csr_matrix, parts: np.ndarray, end: np.ndarray, *, n_ends: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of every terminal state, and the mean number of steps until any, for every cell.

    Parameters
    ----------
    matrix
        Sparse ``(n_cells, n_cells)``, rows sum to 1.
    parts
        Which part of the chain a cell is in, shape ``(n_cells,)``; every cell of a part can be reached from every
        other, and none of another part.
    end
        The end a cell stands for, from 0, or -1, shape ``(n_cells,)``. A walk that comes to such a cell is over.
    n_ends
        How many ends there are.

    Returns
    -------
    Probabilities, shape ``(n_cells, n_ends)``, rows sum to 1; and steps, shape ``(n_cells,)``, 0 for a cell that
    stands for an end, at most 1e12. NaN in a part without end.

    Raises
    ------
    InputError
        Several terminal states are too many steps away for their probabilities to be computed.
    """
    probabilities, steps = np.full((len(end), n_ends), np.nan), np.full(len(end), np.nan)
    for part in np.unique(parts[end >= 0]):
        cells = np.flatnonzero(parts == part)
        own = end[cells]
        here = np.unique(own[own >= 0])
        probabilities[cells] = 0
        probabilities[cells[own >= 0], own[own >= 0]] = 1
        steps[cells] = 0
        if (own < 0).any():
            chain = matrix[cells][:, cells]
            steps[cells] = _steps(chain, own >= 0)
            # With one terminal state the probability is exactly 1, which a solver does not reach over many steps.
            probabilities[np.ix_(cells, here)] = _chances(chain, own) if len(here) > 1 else 1
    return probabilities, steps


def _chances(matrix: csr_matrix, end: np.ndarray) -> np.ndarray:
    """CellRank's fate probabilities, a column for each end that is there, of a connected chain."""
    with quiet_cellrank():
        from cellrank.estimators import GPCCA
        from cellrank.kernels import PrecomputedKernel

        # CellRank requires expression, which is not used here.
        chain = AnnData(np.zeros((len(end), 1), np.float32))
        estimator = GPCCA(PrecomputedKernel(matrix, adata=chain))
        known = np.unique(end[end >= 0])
        codes = np.searchsorted(known, end)
        codes[end < 0] = -1
        states = pd.Categorical.from_codes(codes, categories=known.astype(str))
        estimator.set_terminal_states(pd.Series(states, index=chain.obs_names))
        options = {"use_petsc": False, "n_jobs": 1, "show_progress_bar": False}
        try:
            try:
                estimator.compute_fate_probabilities(solver="gmres", tol=1e-10, **options)
            except ValueError:  # probabilities do not sum to 1: the iterations stopped too early
                estimator.compute_fate_probabilities(solver="direct", **options)
        except ValueError as error:
            msg = (
                f"The fates of {len(end):,} cells cannot be computed: some hardly ever reach a terminal state. "
                "Choose a group where they stay as terminal state too, or give the connectivities more weight."
            )
            raise InputError(msg) from error
        found = estimator.fate_probabilities
        chances = np.column_stack([found[str(number)].X[:, 0] for number in known])
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def _steps(matrix: csr_matrix, ended: np.ndarray) -> np.ndarray:
    """Mean number of steps until the walk has ended; CellRank gives it only for each end by itself."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import MatrixRankWarning, gmres, spsolve

    transient = np.flatnonzero(~ended)
    system = identity(len(transient), format="csr") - matrix[transient][:, transient]
    found, not_converged = gmres(system, np.ones(len(transient)), rtol=1e-8, restart=50, maxiter=100)
    if not_converged:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatrixRankWarning)  # it then gives infinity, as intended
            found = spsolve(system.tocsc(), np.ones(len(transient)))
    steps = np.zeros(len(ended))
    # At least one step: smaller values, or none, mean that the solver did not converge.
    steps[transient] = np.where(found >= 1 - 1e-6, np.minimum(found, NEVER), NEVER)
    return steps
