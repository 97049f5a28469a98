"""Driver genes of a lineage: correlation of expression with the fate probability, and how rates change along it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from deepvelo import keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.matrices import as_dense
from deepvelo.errors import InputError
from deepvelo.tl.lineage.driver_rates import rate_change
from deepvelo.tl.lineage.fates import Fates
from deepvelo.tl.lineage.fates import fates as find_fates
from deepvelo.wording import listed

CHANGES: Final = {"alpha_change": keys.ALPHA, "beta_change": keys.BETA, "gamma_change": keys.GAMMA}
# Fates that differ by less are certain: their correlations would be rounding errors.
_CERTAIN: Final = 1e-6
# Of a block, in double precision: as it is read, some of its cells, centred or in order of time.
_COPIES: Final = 8


def drivers(
    adata: AnnData,
    fates: Fates | None = None,
    *,
    pseudotime: np.ndarray | None = None,
    layer: str | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    r"""Every gene's correlation with the probability of every fate, as CellRank computes it.

    Interval and p-value are Fisher's, :math:`\operatorname{artanh}(r) \pm z / \sqrt{n - 3}`; q is p after Benjamini
    and Hochberg, over the genes of a lineage. They take cells for independent, which cells of one tissue are
    not, least of all in a smoothed layer: use them to rank.

    A lineage is correlated over the connected components from which its terminal state can be reached. Where that is the
    only one, the probability is 1 in all of them, and a cell's rank by mean number of steps to it, the last first, takes its
    place. CellRank takes the stationary distribution then, which is 0 in all but the last cells.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity_graph` leaves it; layers may lie on disk.
    fates
        What `deepvelo.tl.fates` found in it; by default it is called without further arguments.
    pseudotime
        Shape ``(n_cells,)``: order of the cells for the change of the rates; by default how near an end they are,
        which on simulated branches orders them as well as their true time, and better than scVelo's pseudotime.
    layer
        Expression; by default ``X``, log-normalised counts in a run, which is CellRank's default too.
    confidence_level
        Of the interval, between 0 and 1.

    Returns
    -------
    One row a lineage and gene, best first in every lineage: ``lineage``, ``gene``, ``rank`` from 1,
    ``correlation``, ``ci_low``, ``ci_high``, ``p``, ``q``, ``measure`` (``"fate"`` or ``"nearness"``), and
    ``alpha_change``, ``beta_change``, ``gamma_change``: log2 of the rate at the lineage's end over that at its
    beginning, see `rate_change`. Changes are NaN where the run has no rates by cell; a correlation, where gene or
    fate do not vary.

    Raises
    ------
    InputError
        Fates of other cells, no such layer, pseudotime of the wrong length, a level out of range, or what
        `deepvelo.tl.fates` refuses.

    Examples
    --------
    >>> found = dv.tl.fates(fitted, cluster_key="clusters", terminal=["Stage 4"])
    >>> table = dv.tl.drivers(fitted, found)
    >>> list(table.columns[:4])
    ['lineage', 'gene', 'rank', 'correlation']
    """
    fates = fates or find_fates(adata)
    values = _expression(adata, fates, layer)
    if not 0 < confidence_level < 1:
        msg = f"`confidence_level` must be between 0 and 1. Got {confidence_level}. Try 0.95."
        raise InputError(msg)
    nearness = -fates.steps.to_numpy()
    order = nearness if pseudotime is None else _order(adata, pseudotime)
    parts = fates.parts.to_numpy()
    targets = {name: _target(fates, name, nearness=nearness, parts=parts) for name in fates.terminal}
    correlations = _correlations(values, targets)
    changes = {
        name: _changes(adata.layers[key], fates, order=order)
        for name, key in CHANGES.items()
        if key in adata.layers
    }
    tables = []
    for lineage, target in targets.items():
        table = pd.DataFrame({"lineage": lineage, "gene": adata.var_names})
        found = _with_intervals(correlations[lineage], len(target.values), level=confidence_level)
        for name, column in found.items():
            table[name] = column
        table["measure"] = target.measure
        for name in CHANGES:
            table[name] = changes[name][lineage] if name in changes else np.nan
        table = table.sort_values("correlation", ascending=False, kind="stable", ignore_index=True)
        table.insert(2, "rank", np.arange(1, len(table) + 1))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


class _Target(NamedTuple):
    """What a lineage's genes are correlated with: in which cells, bool ``(n_cells,)``, and its values there."""

    measure: str
    within: np.ndarray
    values: np.ndarray


def _target(fates: Fates, lineage: str, *, nearness: np.ndarray, parts: np.ndarray) -> _Target:
    chances = _chances(fates, lineage)
    within = np.isin(parts, np.unique(parts[chances > 0]))
    if np.ptp(chances[within]) < _CERTAIN:
        return _Target("nearness", within, stats.rankdata(nearness[within]))
    return _Target("fate", within, chances[within])


def _chances(fates: Fates, lineage: str) -> np.ndarray:
    return np.nan_to_num(fates.probabilities[lineage].to_numpy())


def _expression(adata: AnnData, fates: Fates, layer: str | None) -> Any:
    """A layer, or a sparse matrix by genes."""
    if not fates.probabilities.index.equals(adata.obs_names):
        msg = f"The fates are those of {len(fates.probabilities):,} other cells than the run's {adata.n_obs:,}. Compute them for this run."
        raise InputError(msg)
    if layer is not None and layer not in adata.layers:
        msg = f"There is no layer '{layer}'. Found {listed(list(adata.layers))}. Choose one of them, or none for `X`."
        raise InputError(msg)
    values = adata.X if layer is None else adata.layers[layer]
    if values is None:
        msg = f"The run has no `X`. Found the layers {listed(list(adata.layers))}. Choose one of them."
        raise InputError(msg)
    return values.tocsc() if sparse.issparse(values) else values


def _order(adata: AnnData, pseudotime: np.ndarray) -> np.ndarray:
    if np.shape(pseudotime) != (adata.n_obs,):
        msg = f"`pseudotime` must have a value for each of {adata.n_obs:,} cells. Got the shape {np.shape(pseudotime)}. Give that of this run."
        raise InputError(msg)
    return np.asarray(pseudotime, dtype=float)


def _blocks(matrix: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Genes and their values, dense float64 ``(n_cells, n_genes_in_block)``."""
    for genes in gene_blocks(matrix, n_layers=_COPIES):
        yield genes, as_dense(matrix[:, genes]).astype(np.float64)


def _correlations(values: Any, targets: Mapping[str, _Target]) -> dict[str, np.ndarray]:
    """Pearson correlation of every gene with every target, ``(n_genes,)`` each; NaN where one does not vary."""
    found = {lineage: np.full(values.shape[1], np.nan) for lineage in targets}
    for genes, block in _blocks(values):
        for lineage, target in targets.items():
            of_cells = block[target.within]
            centred, wanted = of_cells - of_cells.mean(axis=0), target.values - target.values.mean()
            length = np.linalg.norm(centred, axis=0) * np.linalg.norm(wanted)
            varies = (np.ptp(of_cells, axis=0) > 0) & (np.ptp(target.values) > 0)
            np.divide(wanted @ centred, length, out=found[lineage][genes], where=varies)
    return {lineage: np.clip(correlation, -1, 1) for lineage, correlation in found.items()}


def _changes(rates: Any, fates: Fates, *, order: np.ndarray) -> dict[str, np.ndarray]:
    """`rate_change` of every gene along every lineage, ``(n_genes,)`` each."""
    found = {lineage: np.empty(rates.shape[1]) for lineage in fates.terminal}
    for genes, block in _blocks(rates):
        for lineage, change in found.items():
            change[genes] = rate_change(block, pseudotime=order, weights=_chances(fates, lineage))
    return found


def _with_intervals(correlation: np.ndarray, n_cells: int, *, level: float) -> dict[str, np.ndarray]:
    """Correlations with Fisher's interval and p, and q."""
    error = 1 / np.sqrt(n_cells - 3) if n_cells > 3 else np.inf
    with np.errstate(divide="ignore"):
        centre = np.arctanh(correlation)
    z = stats.norm.ppf((1 + level) / 2) * error
    p = 2 * stats.norm.sf(np.abs(centre) / error)
    q = np.full(len(p), np.nan)
    q[np.isfinite(p)] = stats.false_discovery_control(p[np.isfinite(p)])
    return {
        "correlation": correlation,
        "ci_low": np.tanh(centre - z),
        "ci_high": np.tanh(centre + z),
        "p": p,
        "q": q,
    }
