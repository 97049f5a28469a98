"""scVelo's own velocities on a prepared object: what other methods are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from anndata import AnnData
from scipy import sparse

from deepvelo import checks, keys, matrices
from deepvelo.errors import InputError
from deepvelo.tl.graph import quiet

ScveloMode = Literal["steady_state", "stochastic", "dynamical"]

_OLD_LAYERS = (keys.VELOCITY, keys.VELOCITY_U, f"variance_{keys.VELOCITY}", *keys.RATES)
_GRAPHS = (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)


def scvelo_velocity(adata: AnnData, *, mode: ScveloMode) -> None:
    """Velocities by one of scVelo's models (Bergen et al. 2020), with scVelo's defaults, in place.

    Parameters
    ----------
    adata
        As `deepvelo.pp.prepare` leaves it. Velocities, rates and velocity graphs of an earlier fit are removed.
    mode
        ``steady_state``: a line through the cells in the extreme quantiles of each gene; ``stochastic``: the
        same with second moments, which take counts, size-normalised here; ``dynamical``: transcription switched
        on and off once, fitted by expectation maximisation, about 0.1 s a gene and 1,000 cells.

    Sets
    ----
    layers ``velocity``
        float32; NaN in genes that are none of scVelo's velocity genes.
    var ``velocity_genes``
        bool: the genes scVelo finds fit for velocities.
    var ``velocity_gamma``; for ``dynamical`` ``fit_alpha``, ``fit_beta``, ``fit_gamma`` and others
        The rates of every gene, as scVelo names them; beta of the first two modes is 1.

    Raises
    ------
    InputError
        An unknown mode; no moments or neighbours; no counts for ``stochastic``; no gene fit for velocities.
    """
    # Seconds to import; nobody waits for it who draws a finished run.
    import scvelo as scv

    _require(adata, mode)
    _forget(adata)
    with quiet():
        if mode == "dynamical":
            # One job: with more, every process gets a copy of the data.
            scv.tl.recover_dynamics(adata, n_jobs=1, show_progress_bar=False)
        if mode == "stochastic":
            with _normalized_counts(adata):
                scv.tl.velocity(adata, mode=mode)
        else:
            scv.tl.velocity(adata, mode=mode)
    velocity = np.asarray(adata.layers[keys.VELOCITY], dtype=np.float32)
    # scVelo writes no column where all genes have the same value: then all of them are velocity genes.
    chosen = np.asarray(adata.var.get(keys.VELOCITY_GENES, np.ones(adata.n_vars)), dtype=bool)
    chosen = chosen & np.isfinite(velocity).all(axis=0)
    adata.layers[keys.VELOCITY] = np.where(chosen, velocity, np.float32(np.nan))
    adata.var[keys.VELOCITY_GENES] = chosen


def _require(adata: AnnData, mode: str) -> None:
    modes = ScveloMode.__args__  # type: ignore[attr-defined]
    if mode not in modes:
        msg = f"`mode` must be one of {list(modes)}. Got {mode!r}. Choose one of them."
        raise InputError(msg)
    needed = [keys.MS, keys.MU, *([keys.SPLICED, keys.UNSPLICED] if mode == "stochastic" else [])]
    missing = [key for key in needed if key not in adata.layers]
    if missing or not checks.has_neighbors(adata):
        what = f"the layers {missing}" if missing else "a neighbour graph"
        msg = f"scVelo's {mode} mode needs {what}. Found the layers {list(adata.layers)}. Run `pp.prepare` first."
        raise InputError(msg)


def _forget(adata: AnnData) -> None:
    """Drop what scVelo would take for its own: it fits only stored velocity genes, and starts from stored fits."""
    for key in [*_OLD_LAYERS, *(key for key in adata.layers if key.startswith("fit_"))]:
        adata.layers.pop(key, None)
    stale = [c for c in adata.var if c.startswith((f"{keys.VELOCITY}_", "fit_"))]
    adata.var = adata.var.drop(columns=stale)
    adata.varm.pop("loss", None)
    # scVelo prefers graphs in `obsp`, as files of older versions have them, to the new ones it puts into `uns`.
    for key in _GRAPHS:
        adata.obsp.pop(key, None)
        adata.uns.pop(key, None)


@contextmanager
def _normalized_counts(adata: AnnData) -> Iterator[None]:
    """Puts size-normalised counts, on the scale of the moments, where scVelo takes its second moments from."""
    counts = {key: adata.layers[key] for key in (keys.SPLICED, keys.UNSPLICED)}
    try:
        for key, moments in ((keys.SPLICED, keys.MS), (keys.UNSPLICED, keys.MU)):
            if matrices.is_whole(counts[key]):
                total = float(np.asarray(adata.layers[moments]).sum(axis=1).mean())
                adata.layers[key] = _cells_of_size(counts[key], total)
        yield
    finally:
        adata.layers.update(counts)


def _cells_of_size(counts: sparse.csr_matrix, total: float) -> sparse.csr_matrix:
    """Counts scaled so that every cell's add up to ``total``; a cell without counts stays zero."""
    sizes = matrices.cell_totals(counts)
    scale = np.divide(total, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ matrices.as_csr(counts), dtype=np.float32)
