"""Which genes' rates, velocities and RNA differ between two sets of cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.views import columns
from deepvelo.errors import InputError
from deepvelo.tl.differential.medians import Layout, Side, degrees_of_freedom
from deepvelo.tl.differential.sides import Cells, Sides, require_cells, sides_of
from deepvelo.tl.differential.units import Units, neighborhood_units, sample_units
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

MIN_CELLS: Final = 30  # on a side; fewer than a moment averages over are one observation
QUANTITIES: Final[dict[str, tuple[str, ...]]] = {
    "alpha": (keys.ALPHA,),
    "beta": (keys.BETA,),
    "gamma": (keys.GAMMA,),
    "gamma/beta": (keys.GAMMA, keys.BETA),
    "velocity": (keys.VELOCITY,),
    "spliced": (keys.MS,),
    "unspliced": (keys.MU,),
}
COLUMNS: Final = (
    "quantity", "gene", "median", "median_reference", "effect", "ci_low", "ci_high", "p", "q", "note",
)  # fmt: skip
_LAYERS: Final = tuple(dict.fromkeys(name for names in QUANTITIES.values() for name in names))
_FITTED: Final = ("alpha", "beta", "gamma", "gamma/beta", "velocity")  # the others are measured
_NULL_GENES: Final = 30  # fewer do not tell how much genes differ in general
_NORMAL_QUARTILES: Final = 1.349  # distance of the quartiles of a normal distribution, in standard deviations
_NOT_POSITIVE: Final = "median not positive"
_CONSTANT: Final = "no variation"


def differential_kinetics(
    adata: AnnData,
    cells: Cells,
    against: Cells | None = None,
    *,
    within: str | None = None,
    cluster_key: str | None = None,
    sample_key: str | None = None,
    empirical_null: bool = True,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Compare rates, velocities and RNA of every gene between selected cells and others.

    The effect is the log2 ratio of the medians, selected over reference. Velocity has a sign: its effect is the
    difference of the medians, divided by the robust standard deviation within the sides (distance of the quartiles
    / 1.349, the mean of both sides).

    *Cells are not independent.* Rates and moments are averages over neighbours, so a test of cells finds almost any
    gene (pseudoreplication: Squair et al. 2021, Nature Communications 12:5692). The units here are samples, if
    ``sample_key`` is given and each side has two of at least 10 cells, else 8 to 32 neighbourhoods of cells (Ibragimov &
    Müller 2010, Journal of Business & Economic Statistics 28:453). Leaving out one unit at a time gives the standard error
    of the effect, and Student's t the interval and p. Units that have cells of both sides count as pairs.

    *Fits have errors of their own.* Rates of all genes shift a little from one region of a tissue to another where the
    truth does not, and no number of cells averages that out. With ``empirical_null``, the variance of every effect on a
    rate or velocity is :math:`s^2 + \tau^2`: s from the units, and one :math:`\tau` for all genes of a quantity, the least for
    which the median of \|t\| is that of genes without difference (Efron 2004, Journal of the American Statistical
    Association 99:96). So p asks whether a gene differs more than genes in general do. Where most genes differ, as between
    distant cell types, only outliers among them stand out.

    Parameters
    ----------
    adata
        With velocities of any method; layers may lie on disk, as in `deepvelo.io.run.Run.part`.
    cells
        Selected cells: a mask, shape ``(n_cells,)``, or names of cells.
    against
        Cells to compare with, in the same form; by default all others.
    within
        Compare only cells of this group.
    cluster_key
        Column of ``obs`` with the groups of ``within``. By default the one that `deepvelo.pp.moments` chose.
    sample_key
        Column of ``obs`` with the sample, such as donor or batch, of each cell.
    empirical_null
        Compare rates and velocities of each gene with those of all genes; False with no difference at all, which is right
        where sides mix in every neighbourhood, and otherwise finds errors of the fit. Moments are not fitted: any difference
        counts.
    confidence_level
        Of the interval, between 0 and 1.
    seed
        Of the at most 10,000 cells of each side that are used.

    Returns
    -------
    One row per quantity and gene, ordered by quantity, then p. ``quantity``: ``alpha``, ``beta``, ``gamma``, ``gamma/beta``,
    ``velocity``, and the moments ``spliced``, ``unspliced``; ``gene``; ``median``, ``median_reference``: normalised counts (moments),
    per unit time (``alpha`` and ``velocity``: normalised counts per unit time), or a ratio; ``effect``, ``ci_low``, ``ci_high``;
    ``p``, two-sided; ``q``, p after Benjamini and Hochberg over the genes of a quantity; ``note``, why a gene has no effect or
    no p: ``median not positive`` (no ratio) or ``no variation``, else empty.

    Quantities and genes without values are left out. ``attrs`` hold ``units`` (``"neighbourhoods"`` or ``"samples"``),
    ``n_units``, ``degrees_of_freedom``, and ``background``: :math:`\tau` by quantity, in units of the effect.

    Raises
    ------
    InputError
        Fewer than 30 cells on a side, cells on both sides, unknown cells, columns or groups, no such layers, or a level out of
        range.

    Examples
    --------
    >>> table = dv.tl.differential_kinetics(fitted, fitted.obs["true_time"] < 6)
    >>> list(table["quantity"].unique())
    ['alpha', 'beta', 'gamma', 'gamma/beta', 'velocity', 'spliced', 'unspliced']
    >>> table.attrs["units"], table.attrs["n_units"]
    ('neighbourhoods', 8)
    """
    sides = sides_of(adata, cells, against, within=within, cluster_key=cluster_key)
    require_cells(
        sides,
        least=MIN_CELLS,
        why="a comparison of rates, which are averages over as many neighbours,",
        within=within,
    )
    sides = sides.thinned(seed=seed)
    layers = {name: adata.layers[name] for name in _LAYERS if name in adata.layers}
    return kinetic_differences(
        layers,
        sides,
        _units(adata, sides, sample_key),
        genes=adata.var_names,
        empirical_null=empirical_null,
        confidence_level=confidence_level,
    )


def kinetic_differences(
    layers: Mapping[str, Layer],
    sides: Sides,
    units: Units,
    *,
    genes: pd.Index,
    empirical_null: bool = True,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """`differential_kinetics` of layers in memory or on disk, read in blocks of genes.

    Parameters
    ----------
    layers
        By their name in AnnData, each ``(n_cells, n_genes)``; missing ones have no rows.
    sides, units
        Cells of both sides and their units, from `deepvelo.tl.differential.sides` and `units`.
    genes
        Names of the genes.
    """
    if not 0 < confidence_level < 1:
        msg = f"`confidence_level` must be between 0 and 1. Got {confidence_level}. Try 0.95."
        raise InputError(msg)
    quantities = {name: needed for name, needed in QUANTITIES.items() if all(key in layers for key in needed)}
    if not quantities:
        msg = (
            f"There is nothing to compare: none of the layers {listed(_LAYERS)} exists. Fit velocities first."
        )
        raise InputError(msg)
    laid = [Layout(labels, units.n) for labels in (units.selected, units.reference)]
    rows = [side[layout.order] for side, layout in zip(sides, laid, strict=True)]
    needed = list(dict.fromkeys(key for of in quantities.values() for key in of))

    def measure(block: slice, values: dict[str, list[np.ndarray]]) -> dict[str, pd.DataFrame]:
        return {
            name: _measured(
                [_quantity([values[key][side] for key in of]) for side in range(2)],
                laid,
                genes[block],
                signed=name == "velocity",
            )
            for name, of in quantities.items()
        }

    pending: list[Future[dict[str, pd.DataFrame]]] = []
    # Reading the next block takes as long as the statistics of this one.
    with ThreadPoolExecutor(max_workers=1) as worker:
        for block in gene_blocks(layers[needed[0]], n_layers=len(needed)):
            values = {key: [columns(layers[key], block)[some].T for some in rows] for key in needed}
            if len(pending) > 1:
                pending[-2].result()  # no more than two blocks in memory
            pending.append(worker.submit(measure, block, values))
    measured = [block.result() for block in pending]
    df = degrees_of_freedom(laid[0], laid[1], units)
    tables, background = [], {}
    for name in quantities:
        table = pd.concat([block[name] for block in measured], ignore_index=True)
        background[name] = _background(table, df) if empirical_null and name in _FITTED else 0.0
        tables.append(_tested(table, df=df, background=background[name], level=confidence_level))
        tables[-1].insert(0, "quantity", name)
    found = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    found.attrs = {
        "units": units.kind,
        "n_units": units.n,
        "degrees_of_freedom": df,
        "background": background,
    }
    return found


def _units(adata: AnnData, sides: Sides, sample_key: str | None) -> Units:
    if sample_key is not None:
        if sample_key not in adata.obs:
            msg = f"`obs` has no column {listed([sample_key])}. Found {listed(list(map(str, adata.obs)))}. Choose one of them."
            raise InputError(msg)
        if (units := sample_units(adata.obs[sample_key], sides)) is not None:
            return units
    return neighborhood_units(_coordinates(adata), sides)


def _coordinates(adata: AnnData) -> np.ndarray:
    """In which neighbours were found."""
    params: Any = adata.uns.get(keys.NEIGHBORS, {}).get("params", {})
    for name in (params.get("use_rep"), keys.X_PCA):
        if name in adata.obsm:
            return np.asarray(adata.obsm[name])
    msg = f"There are no principal components. Found {listed(list(adata.obsm))} in `obsm`. Run `deepvelo.pp.moments(adata)` first."
    raise InputError(msg)


def _quantity(values: list[np.ndarray]) -> np.ndarray:
    """One layer, or the ratio of two, ``(n_genes, n_cells)``."""
    if len(values) == 1:
        return values[0].copy(order="C")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.ascontiguousarray(values[0] / values[1])


def _measured(
    by_side: list[np.ndarray], laid: list[Layout], genes: pd.Index, *, signed: bool
) -> pd.DataFrame:
    """Medians, effects and standard errors of the genes that have a value in every cell."""
    known = np.logical_and(*(~np.isnan(values).any(axis=1) for values in by_side))
    selected, reference = (layout.side(values[known]) for layout, values in zip(laid, by_side, strict=True))
    contrast: Callable[[Side, Side], tuple[np.ndarray, np.ndarray]] = _difference if signed else _log_ratio
    effect, error = contrast(selected, reference)
    note = np.where(
        np.isfinite(effect), np.where(error > 0, "", _CONSTANT), _CONSTANT if signed else _NOT_POSITIVE
    )
    return pd.DataFrame(
        {
            "gene": genes[known],
            "median": selected.median,
            "median_reference": reference.median,
            "effect": effect,
            "error": np.where(error > 0, error, np.nan),
            "note": note,
        }
    )


def _log_ratio(selected: Side, reference: Side) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the ratio of medians and its standard error; NaN unless both medians are positive."""
    positive = (selected.median > 0) & (reference.median > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(positive, np.log2(selected.median / reference.median), np.nan)
        shifts = selected.shifts / selected.median - reference.shifts / reference.median
        error = np.where(positive, np.sqrt((shifts**2).sum(axis=0)) / np.log(2), np.nan)
    return effect, error


def _difference(selected: Side, reference: Side) -> tuple[np.ndarray, np.ndarray]:
    """Difference of medians in robust standard deviations, and its standard error."""
    spread = (selected.quartiles + reference.quartiles) / 2 / _NORMAL_QUARTILES
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(spread > 0, (selected.median - reference.median) / spread, np.nan)
        error = np.sqrt(((selected.shifts - reference.shifts) ** 2).sum(axis=0)) / spread
    return effect, error


def _background(table: pd.DataFrame, df: float) -> float:
    """By how much genes in general differ beyond the error of their units: a standard deviation, 0 or more."""
    from scipy import optimize, stats

    known = table["error"].notna()
    effect, error = table["effect"][known].to_numpy(), table["error"][known].to_numpy()
    if len(effect) < _NULL_GENES:
        return 0.0
    expected = stats.t.ppf(0.75, df)

    def excess(variance: float) -> float:
        return float(np.median(np.abs(effect) / np.sqrt(error**2 + variance)) - expected)

    if excess(0) <= 0:
        return 0.0
    return float(np.sqrt(optimize.brentq(excess, 0, np.max(np.abs(effect) / expected) ** 2)))


def _tested(table: pd.DataFrame, *, df: float, background: float, level: float) -> pd.DataFrame:
    """Add interval, p and q; smallest p first."""
    from scipy import stats

    error = np.hypot(table.pop("error"), background)
    reach = stats.t.ppf((1 + level) / 2, df) * error
    p = 2 * stats.t.sf((table["effect"] / error).abs(), df)
    q = np.full(len(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    table = table.assign(ci_low=table["effect"] - reach, ci_high=table["effect"] + reach, p=p, q=q)
    return table.sort_values("p", kind="stable", ignore_index=True)
