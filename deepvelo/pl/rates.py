"""Distributions of a gene's kinetic rates in each group of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.assembly import Grid, Part
from deepvelo.plan import MOST_IN_VIOLIN

RATE_TITLES = {
    "alpha": "α, transcription<br>(normalised counts / time)",
    "beta": "β, splicing<br>(1 / time)",
    "gamma": "γ, degradation<br>(1 / time)",
}
_FEW = 10  # cells; fewer are drawn as points instead of a density


def rate_violins(
    rates: Mapping[str, np.ndarray],
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    height: int = 620,
) -> go.Figure:
    """Draw one row per rate and one violin per group, with box and median; small groups are drawn as single cells.

    Violins of large groups are computed from quantiles.

    Parameters
    ----------
    rates
        Values of ``alpha``, ``beta``, ``gamma`` (or some of them), shape ``(n_cells,)``; per unit time, which has no
        physical unit. Cells with NaN are left out.
    groups
        Group of each cell, shape ``(n_cells,)``.
    colors
        From `theme.group_colors`; also determines the order of groups.
    """
    codes, names = theme.group_codes(groups)
    cells_of = {name: np.flatnonzero(codes == i) for i, name in enumerate(names)}
    shown = theme.plain_names(colors)
    grid = Grid(len(rates), 1, shared_xaxes=True, vertical_spacing=0.04)
    traces: list[Part] = []
    for panel, (rate, values) in enumerate(rates.items()):
        for (group, color), name in zip(colors.items(), shown, strict=True):
            known = values[cells_of.get(group, [])].astype(np.float32)
            trace = _violin(_quantiles(known[np.isfinite(known)]), name=name, color=color)
            traces.append(grid.inside(panel, trace | {"scalegroup": rate}))
        grid.axes[panel][1].update(
            title={"text": RATE_TITLES[rate], "standoff": 22}, gridcolor="rgba(128,128,128,0.2)",
            zerolinecolor="rgba(128,128,128,0.4)", nticks=5,
        )  # fmt: skip
    grid.axes[-1][0].update(showgrid=False, tickangle=-35, automargin=True)
    layout = theme.layout(height=height) | {"showlegend": False, "violinmode": "overlay"}
    return grid.assembled(traces, **layout)


def _violin(values: np.ndarray, *, name: str, color: str) -> Part:
    few = len(values) < _FEW
    return {
        "type": "violin",
        "x0": name,
        "y": values,
        "name": name,
        "legendgroup": name,
        "scalemode": "width",
        "spanmode": "hard",  # the density must not extend below the smallest rate
        "points": "all" if few else False,
        "pointpos": 0,
        "jitter": 0.4,
        "marker": {"color": color, "size": 6},
        "line": {"color": color, "width": 0 if few else 1.2},
        **({"fillcolor": "rgba(0,0,0,0)"} if few else {}),
        "box": {"visible": not few, "width": 0.25},
        "width": 0.85,
        "hoverinfo": "y+name",
        "hoveron": "points" if few else "violins",
    }


def _quantiles(values: np.ndarray) -> np.ndarray:
    """At most `MOST_IN_VIOLIN` of the values, evenly spaced by rank, including minimum and maximum."""
    if len(values) <= MOST_IN_VIOLIN:
        return values
    ranks = np.linspace(0, len(values) - 1, MOST_IN_VIOLIN).round().astype(int)
    return np.sort(values)[ranks]
