"""Genes that drive a lineage: those whose expression goes with the fate, and how their rates change on the way."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl.driver_rates import rate_change
from deepvelo.tl.fates import Fates
from deepvelo.wording import listed

CHANGES: Final = {"alpha_change": keys.ALPHA, "beta_change": keys.BETA, "gamma_change": keys.GAMMA}
# Fates that differ by less are certain: their correlations would be those of rounding errors.
_CERTAIN: Final = 1e-6


def drivers(
    adata: AnnData,
    fates: Fates,
    *,
    pseudotime: np.ndarray | None = None,
    layer: str | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    r"""Every gene's correlation with the probability of every fate, as CellRank computes it.

    Interval and p-value are Fisher's, :math:`\operatorname{artanh}(r) \pm z / \sqrt{n - 3}`; q is p after Benjamini
    and Hochberg, over the genes of a lineage. They take cells for independent, which cells of one tissue are
    not, least of all in a smoothed layer: use them to rank.

    A lineage is looked for in the cells of the parts of the data from which it can be reached. Where it is the only
    end there, the probability is 1 in all of them, and how near its end a cell is takes its place: the cell's rank by
    mean number of steps to it, the last first. CellRank takes the stationary distribution then, which only the last cells share in.

    Parameters
    ----------
    adata, fates
        A run, and what `deepvelo.tl.fates` found in it.
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
        Fates of other cells, no such layer, pseudotime of the wrong length, or a level out of range.
    """
    values = _expression(adata, fates, layer)
    if not 0 < confidence_level < 1:
        msg = f"`confidence_level` must be between 0 and 1. Got {confidence_level}. Try 0.95."
        raise InputError(msg)
    nearness = -fates.steps.to_numpy()
    order = nearness if pseudotime is None else _order(adata, pseudotime)
    parts = fates.parts.to_numpy()
    tables = []
    for lineage in fates.terminal:
        chances = np.nan_to_num(fates.probabilities[lineage].to_numpy())
        within = np.isin(parts, np.unique(parts[chances > 0]))
        certain = np.ptp(chances[within]) < _CERTAIN
        target = stats.rankdata(nearness[within]) if certain else chances[within]
        table = pd.DataFrame({"lineage": lineage, "gene": adata.var_names})
        found = _correlations(values[within], target, level=confidence_level)
        for name, column in found.items():
            table[name] = column
        table["measure"] = "nearness" if certain else "fate"
        for name, key in CHANGES.items():
            rates = adata.layers.get(key)
            table[name] = (
                np.nan if rates is None else rate_change(np.asarray(rates), pseudotime=order, weights=chances)
            )
        table = table.sort_values("correlation", ascending=False, kind="stable", ignore_index=True)
        table.insert(2, "rank", np.arange(1, len(table) + 1))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _expression(adata: AnnData, fates: Fates, layer: str | None) -> np.ndarray:
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
    dense = values.toarray() if sparse.issparse(values) else values
    return np.asarray(dense, dtype=np.float64)


def _order(adata: AnnData, pseudotime: np.ndarray) -> np.ndarray:
    if np.shape(pseudotime) != (adata.n_obs,):
        msg = f"`pseudotime` must have a value for each of {adata.n_obs:,} cells. Got the shape {np.shape(pseudotime)}. Give that of this run."
        raise InputError(msg)
    return np.asarray(pseudotime, dtype=float)


def _correlations(values: np.ndarray, target: np.ndarray, *, level: float) -> dict[str, np.ndarray]:
    """Pearson correlation of every column with the target, Fisher's interval and p, and q."""
    centred, wanted = values - values.mean(axis=0), target - target.mean()
    length = np.linalg.norm(centred, axis=0) * np.linalg.norm(wanted)
    varies = (np.ptp(values, axis=0) > 0) & (np.ptp(target) > 0)
    found = np.divide(wanted @ centred, length, out=np.full(len(length), np.nan), where=varies)
    found = np.clip(found, -1, 1)
    error = 1 / np.sqrt(len(target) - 3) if len(target) > 3 else np.inf
    with np.errstate(divide="ignore"):
        centre = np.arctanh(found)
    z = stats.norm.ppf((1 + level) / 2) * error
    p = 2 * stats.norm.sf(np.abs(centre) / error)
    q = np.full(len(p), np.nan)
    q[np.isfinite(p)] = stats.false_discovery_control(p[np.isfinite(p)])
    return {
        "correlation": found,
        "ci_low": np.tanh(centre - z),
        "ci_high": np.tanh(centre + z),
        "p": p,
        "q": q,
    }
