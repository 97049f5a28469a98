"""A gene in all cells: its phase portrait and the same cells on the embedding."""

from __future__ import annotations

from typing import TypedDict

import pandas as pd
import plotly.graph_objects as go

from app import cached
from app.widgets.alpha import has_alpha
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.pl.embedding import panels
from deepvelo.pl.phase_portrait import Phase

_PANELS = {
    "spliced": keys.MS,
    "unspliced": keys.MU,
    "velocity ds/dt": keys.VELOCITY,
    "α, transcription": keys.ALPHA,
    "β, splicing": keys.BETA,
    "γ, degradation": keys.GAMMA,
}


class Options(TypedDict):
    """What one portrait and a grid of them have in common."""

    colors: dict[str, str]
    shown: list[str] | None
    zoom: bool
    dark: bool


def groups_and_colors(run: Run) -> tuple[list[str], dict[str, str]]:
    """Cell type of each cell, and each type's colour on every page."""
    groups = run.obs[run.info.cluster_key].astype(str).tolist()
    return groups, theme.group_colors(groups, run.uns_colors(run.info.cluster_key))


def phase_of(run: Run, gene: str) -> Phase:
    """A gene's moments and velocities."""
    run_id = run.info.run_id
    return Phase(
        gene=gene,
        spliced=cached.gene_values(run_id, keys.MS, gene),
        unspliced=cached.gene_values(run_id, keys.MU, gene),
        velocity=cached.gene_values(run_id, keys.VELOCITY, gene),
        velocity_u=cached.gene_values(run_id, keys.VELOCITY_U, gene) if has_alpha(run) else None,
    )


def arrows_in_words(run: Run) -> str:
    """What the arrows of this run show, and why they need not fit the drawn point."""
    if has_alpha(run):
        words = [
            "Arrows show where its RNA is heading: right means more spliced (ds/dt), up means more unspliced (du/dt)."
        ]
    else:
        words = [
            "Arrows are ds/dt alone: right means more spliced, left less. "
            "du/dt and α were not fitted in this run (setting Unspliced velocity is off): train with it on to get them."
        ]
    graph = run.info.settings.graph
    made = []
    if graph.smooth_velocity:
        made.append(f"averaged {_times(graph.smooth_velocity)} over neighbouring cells")
    if graph.denoise_velocity:
        made.append("reduced to the directions in which cells differ (principal components)")
    if made:
        words.append(
            f"They are the fitted velocities, {' and '.join(made)}, "
            "so they need not equal β u − γ s of the drawn point."
        )
    elif graph.smooth_inputs:
        words.append(
            f"They were fitted on counts averaged {_times(graph.smooth_inputs)} more over neighbouring cells, "
            "so they need not equal β u − γ s of the drawn point."
        )
    return " ".join(words)


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def gene_panels(run: Run, gene: str, *, height: int) -> go.Figure:
    """Spliced, unspliced, velocity and the fitted rates of a gene on the fitted embedding."""
    layers = {title: layer for title, layer in _PANELS.items() if layer != keys.ALPHA or has_alpha(run)}
    values = {title: cached.gene_values(run.info.run_id, layer, gene) for title, layer in layers.items()}
    below_zero = [title for title, numbers in values.items() if (numbers < 0).any()]
    points = run.obsm[keys.embedding(run.info.basis)][:, :2]
    return panels(points, values, diverging=["velocity ds/dt", *below_zero], columns=2, height=height)


def gene_scores(run: Run, genes: list[str]) -> pd.DataFrame:
    """Genes in the order given with their multi-kinetic score; none where a gene has no velocity."""
    return pd.DataFrame({"Gene": genes, "Score": run.var.loc[genes, keys.MULTIKINETIC_SCORE].to_numpy()})
