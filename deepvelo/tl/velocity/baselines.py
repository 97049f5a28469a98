"""scVelo's own velocities on a prepared object: what other methods are compared with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import numpy as np
from anndata import AnnData
from scipy import sparse

from deepvelo import checks, choices, config, keys
from deepvelo.arrays import matrices
from deepvelo.errors import CancelledError, InputError
from deepvelo.tl.graph.velocity_graph import quiet
from deepvelo.tl.velocity.earlier_fit import remove_earlier_fit

logger = logging.getLogger(__name__)

ScveloMode = Literal["steady_state", "stochastic", "dynamical"]
OnGenes = Callable[[int, int], None]

# Seconds of work on 3,000 cells, so that cancelling is felt; scVelo handles whole layers once a block.
_BLOCK_GENES = 16


def scvelo_velocity(adata: AnnData, *, mode: ScveloMode, on_genes: OnGenes | None = None) -> None:
    """Velocities by one of scVelo's models (Bergen et al. 2020), with scVelo's defaults, in place.

    Parameters
    ----------
    adata
        With moments and neighbours, as `deepvelo.pp.moments` leaves it. Velocities, rates and velocity graphs of an earlier fit are removed.
    mode
        ``steady_state``: a line through the cells in the extreme quantiles of each gene; ``stochastic``: the
        same with second moments, which take counts, size-normalised here; ``dynamical``: transcription switched
        on and off once, fitted by expectation maximisation, about 0.1 s a gene and 1,000 cells.
    on_genes
        Called after every 16 genes of ``dynamical`` with the number of fitted genes and of all genes, from 0 on.
        What it raises stops the fit. scVelo fits and aligns each gene by itself, so the answer is that of all genes at once.

    Sets
    ----
    layers ``velocity``; for ``dynamical`` also ``velocity_u``
        float32; NaN in genes that are none of scVelo's velocity genes.
    var ``velocity_genes``
        bool: the genes scVelo finds fit for velocities.
    var ``velocity_gamma``; for ``dynamical`` ``fit_alpha``, ``fit_beta``, ``fit_gamma`` and others
        The rates of every gene, as scVelo names them; beta of the first two modes is 1.
    uns ``deepvelo``
        ``settings``, with the mode as their ``method``, and ``versions``.

    Raises
    ------
    InputError
        An unknown mode; no moments or neighbours; no counts for ``stochastic``; no gene fit for velocities;
        scVelo fails, with its message and the step or gene.

    Examples
    --------
    >>> dv.tl.scvelo_velocity(adata, mode="steady_state")
    >>> adata.layers["velocity"].dtype
    dtype('float32')
    """
    # Seconds to import; nobody waits for it who draws a finished run.
    import scvelo as scv

    _require(adata, mode)
    settings, (cluster_key, basis) = choices.recorded_settings(adata), choices.recorded_views(adata)
    # scVelo fits only stored velocity genes, and starts from stored fits.
    remove_earlier_fit(adata)
    with quiet():
        if mode == "dynamical":
            _recover_dynamics(adata, on_genes or (lambda done, total: None))
        with scvelo_errors(mode, "the velocities"):
            if mode == "stochastic":
                with _normalized_counts(adata):
                    scv.tl.velocity(adata, mode=mode)
            else:
                scv.tl.velocity(adata, mode=mode)
    velocity = np.asarray(adata.layers[keys.VELOCITY], dtype=np.float32)
    # scVelo writes no column where all genes have the same value: all are velocity genes, or none has a signal.
    signal = np.all([np.asarray(adata.layers[key]).max(axis=0) > 0 for key in (keys.MS, keys.MU)], axis=0)
    chosen = np.asarray(adata.var.get(keys.VELOCITY_GENES, signal), dtype=bool)
    chosen = chosen & np.isfinite(velocity).all(axis=0)
    if not chosen.any():
        _refuse(adata, mode)
    for key in (keys.VELOCITY, keys.VELOCITY_U):
        if key in adata.layers:
            values = np.asarray(adata.layers[key], dtype=np.float32)
            adata.layers[key] = np.where(chosen, values, np.float32(np.nan))
    adata.var[keys.VELOCITY_GENES] = chosen
    settings = config.replace(settings or config.Settings(), {"method": mode})
    choices.record(adata, settings, cluster_key=cluster_key, basis=basis)


def scvelo_errors(mode: ScveloMode, step: str) -> AbstractContextManager[None]:
    """`errors_of` one of scVelo's modes."""
    return errors_of(f"scVelo's {mode} mode", step)


@contextmanager
def errors_of(method: str, step: str) -> Iterator[None]:
    """Turn what another group's package raises, which may be anything, into an `InputError`.

    Parameters
    ----------
    method, step
        What the message calls the method, and what it was at, beside the error's own first line.
    """
    try:
        yield
    except (InputError, CancelledError, MemoryError):
        raise
    except Exception as error:
        logger.info("%s failed at %s", method, step, exc_info=True)
        what = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0].rstrip(". ")
        msg = f"{method} failed at {step} ({what}). Choose another method, or other genes or cells."
        raise InputError(msg) from error


def _recover_dynamics(adata: AnnData, on_genes: OnGenes) -> None:
    """`scvelo.tl.recover_dynamics` on the genes it would choose, block by block."""
    from scvelo.tools.velocity import Velocity

    with scvelo_errors("dynamical", "the choice of genes"):
        choice = Velocity(adata)
        choice.compute_deterministic(perc=[5, 95])
        *_, adata.var["fit_r2"], chosen = choice.get_pars()
    # scVelo skips genes with fewer cells that have both; a block of nothing else would break it.
    both = (np.asarray(adata.layers[keys.MS]) > 0) & (np.asarray(adata.layers[keys.MU]) > 0)
    genes = list(adata.var_names[chosen & (both.sum(axis=0) > 2)])
    if not genes:
        _refuse(adata, "dynamical")
    on_genes(0, len(genes))
    for start in range(0, len(genes), _BLOCK_GENES):
        block = genes[start : start + _BLOCK_GENES]
        _fit_genes(adata, block)
        on_genes(start + len(block), len(genes))


def _fit_genes(adata: AnnData, genes: list[str]) -> None:
    """Fit genes together, or, where that fails, one by one, to name the one it fails at."""
    import scvelo as scv

    # One job: with more, every process gets a copy of the data.
    options = {"n_jobs": 1, "show_progress_bar": False}
    what = f"gene {genes[0]}" if len(genes) == 1 else f"the genes {genes[0]} to {genes[-1]}"
    try:
        with scvelo_errors("dynamical", what):
            scv.tl.recover_dynamics(adata, var_names=genes, **options)
    except InputError:
        if len(genes) == 1:
            raise
        for gene in genes:
            _fit_genes(adata, [gene])


def _refuse(adata: AnnData, mode: ScveloMode) -> None:
    msg = (
        f"scVelo's {mode} mode finds none of the {adata.n_vars} genes fit for velocities. "
        "Choose another method, or data with more unspliced counts."
    )
    raise InputError(msg)


def _require(adata: AnnData, mode: str) -> None:
    modes = ScveloMode.__args__  # type: ignore[attr-defined]
    if mode not in modes:
        msg = f"`mode` must be one of {list(modes)}. Got {mode!r}. Choose one of them."
        raise InputError(msg)
    needed = [keys.MS, keys.MU, *([keys.SPLICED, keys.UNSPLICED] if mode == "stochastic" else [])]
    missing = [key for key in needed if key not in adata.layers]
    if missing or not checks.has_neighbors(adata):
        what = f"the layers {missing}" if missing else "a neighbour graph"
        msg = f"scVelo's {mode} mode needs {what}. Found the layers {list(adata.layers)}. Run `deepvelo.pp.moments(adata)` first."
        raise InputError(msg)


@contextmanager
def _normalized_counts(adata: AnnData) -> Iterator[None]:
    """Puts size-normalised counts, on the scale of the moments, where scVelo takes its second moments from."""
    counts = {key: adata.layers[key] for key in (keys.SPLICED, keys.UNSPLICED)}
    are_counts = checks.has_counts(adata)
    try:
        for key, moments in ((keys.SPLICED, keys.MS), (keys.UNSPLICED, keys.MU)):
            if are_counts:
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
