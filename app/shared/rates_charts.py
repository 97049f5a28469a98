"""UMAP of kinetic rates, rates of a gene, and scores of the rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from pandas import CategoricalDtype

from app.shared import cached
from app.shared.cells import drawn, group_names
from app.shared.charts import is_dark
from app.shared.color_picker import color_values, palette
from app.shared.grouping import groups_and_colors, own_in_words
from app.shared.text import NEGATIVE_RATES
from app.shared.velocity_chart import View, color_limits, color_title, in_place
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl.embedding import scatter

SPACES = {
    "All rates": keys.X_RATES_UMAP,
    "α": keys.X_ALPHA_UMAP,
    "β": keys.X_BETA_UMAP,
    "γ": keys.X_GAMMA_UMAP,
}
RATE_LAYERS = {"alpha": keys.ALPHA, "beta": keys.BETA, "gamma": keys.GAMMA}
RATE_COLORS = ("gene_alpha", "gene_beta", "gene_gamma")


def warn_of_negative_rates(run: Run) -> None:
    """Warn that the rates of this run are unconstrained."""
    if run.info.is_ours and not run.info.settings.variant.nonnegative_rates:
        st.warning(NEGATIVE_RATES, icon=":material/warning:")


def rates_figure(run: Run, space: str, *, color: str, gene: str, names: bool, height: int) -> go.Figure:
    """UMAP of all rates or of one kind, in the chosen colour; ``names`` labels groups on the figure instead of in a legend."""
    points = run.obsm[SPACES[space]][:, :2]
    values = color_values(run, color, gene=gene)
    axis_name = "Rates UMAP" if space == "All rates" else f"{space} UMAP"
    drawing: dict[str, Any] = {
        "axis_name": axis_name,
        "labels": names,
        "drawn": drawn(run),
        "dark": is_dark(),
        "height": height,
    }
    if isinstance(values.dtype, CategoricalDtype):
        groups = group_names(values)
        fig = scatter(points, groups, colors=palette(run, color, groups), **drawing).update_layout(
            showlegend=not names
        )
    else:
        numbers = values.to_numpy(dtype=np.float32)
        groups, _ = groups_and_colors(run)
        view = View(basis="", kind="No arrows", color=color, gene=gene, density=1, smooth=1)
        fig = scatter(
            points, groups, values=numbers, value_title=color_title(run, view),
            diverging=color.startswith("gene_") and bool((numbers < 0).any()), limits=color_limits(run, view), **drawing,
        )  # fmt: skip
    return in_place(fig, groups, legend=not names, margin=30)


def gene_rates(run: Run, gene: str) -> dict[str, np.ndarray]:
    """Rates of a gene in every cell; without alpha if the run has none."""
    layers = {rate: layer for rate, layer in RATE_LAYERS.items() if rate != "alpha" or run.has_alpha}
    return {rate: cached.gene_values(run.info.run_id, layer, gene) for rate, layer in layers.items()}


def match_scores(run: Run) -> None:
    """Two scores of how well rates separate cell types, with their meaning."""
    metrics = run.info.metrics
    silhouette, rand = st.columns(2)
    with silhouette:
        st.metric("Silhouette", _number(metrics.get("silhouette_rates")))
        st.caption(
            "Separation of cell types in the space of rates: 1 separate, 0 mixed, below 0 in the wrong place."
        )
    with rand:
        st.metric("Adjusted Rand index", _number(metrics.get("ari_rates")))
        st.caption("Agreement of clusters of rates with cell types: 1 identical, 0 as by chance.")
    if words := own_in_words(run):
        st.caption(words)


def _number(value: float | int | str | None) -> str:
    if isinstance(value, (float, int)) and np.isfinite(value):
        return f"{value:.2f}"
    return "not known"
