"""Phase portrait of a gene, and the gene on the embedding."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.shared import cached
from app.shared.cells import drawn
from app.shared.methods import NO_ALPHA
from app.shared.undecided import undecided_cells
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl.embedding import panels
from deepvelo.pl.phase_portrait import Phase
from deepvelo.plan import moment_averages

_PANELS = {
    "spliced": keys.MS,
    "unspliced": keys.MU,
    "velocity ds/dt": keys.VELOCITY,
    "α, transcription": keys.ALPHA,
    "β, splicing": keys.BETA,
    "γ, degradation": keys.GAMMA,
}


_BOTH_WAYS = "Arrows show the velocity: right means more spliced (ds/dt), up means more unspliced (du/dt)."
_ONE_WAY = "Arrows show ds/dt only: right means more spliced, left less."


class Options(TypedDict):
    """Options that one portrait and a grid of portraits share."""

    colors: dict[str, str]
    shown: list[str] | None
    cells: np.ndarray | None
    zoom: bool
    drawn: np.ndarray | None
    dark: bool


def phase_of(run: Run, gene: str) -> Phase:
    """A gene's moments and velocities."""
    run_id = run.info.run_id
    return Phase(
        gene=gene,
        spliced=cached.gene_values(run_id, keys.MS, gene),
        unspliced=cached.gene_values(run_id, keys.MU, gene),
        velocity=cached.gene_values(run_id, keys.VELOCITY, gene),
        velocity_u=cached.gene_values(run_id, keys.VELOCITY_U, gene) if run.has_du_dt else None,
        undecided=undecided_cells(run),
    )


def arrows_in_words(run: Run) -> str:
    """What the arrows of this run show, and why they may differ from β u − γ s of the point."""
    if run.info.is_imported:
        without = f"{_ONE_WAY} The imported result has no du/dt."
        drawn = _BOTH_WAYS if run.has_du_dt else without
        return f"{drawn} Genes without a velocity in the imported result have no arrows."
    if not run.info.is_ours:
        return _other_arrows_in_words(run)
    if run.has_du_dt:
        words = [_BOTH_WAYS]
    else:
        words = [f"{_ONE_WAY} {NO_ALPHA}"]
    graph = run.info.settings.graph
    if graph.smooth_velocity:
        words.append(
            f"They are fitted velocities, averaged {_times(graph.smooth_velocity)} over graph neighbours, "
            "so they can differ from β u − γ s of the point."
        )
    elif graph.smooth_inputs:
        times = moment_averages(int(run.info.metrics["n_cells"]), run.info.settings)
        words.append(
            f"They were fitted to moments averaged {_times(times)} more over graph neighbours, "
            "so they can differ from β u − γ s of the point."
        )
    return " ".join(words)


def _other_arrows_in_words(run: Run) -> str:
    if run.info.settings.method == "graphvelo":
        return f"{_ONE_WAY} GraphVelo gives no du/dt."
    if run.has_du_dt:
        words = (
            f"{_BOTH_WAYS} They belong to the curve that scVelo fits to the gene, at the latent time of the cell, so they can "
            "differ from the direction at the point."
        )
    else:
        words = (
            f"{_ONE_WAY} ds/dt is the cell's distance above the fitted steady-state line, u − γ s; "
            f"scVelo's {run.info.settings.method} mode gives no du/dt."
        )
    return f"{words} Genes that scVelo excludes from velocities have no arrows."


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def gene_panels(run: Run, gene: str, *, cells: np.ndarray | None = None, height: int) -> go.Figure:
    """Spliced, unspliced, velocity and rates of a gene on the run's embedding; other cells than ``cells`` are grey."""
    stored = run.layers
    layers = {
        title: layer
        for title, layer in _PANELS.items()
        if layer in stored and (layer != keys.ALPHA or run.has_alpha)
    }
    values = {title: cached.gene_values(run.info.run_id, layer, gene) for title, layer in layers.items()}
    below_zero = [title for title, numbers in values.items() if (numbers < 0).any()]
    if cells is not None:
        values = {title: np.where(cells, numbers, np.nan) for title, numbers in values.items()}
    points = run.obsm[keys.embedding(run.info.basis)][:, :2]
    diverging = ["velocity ds/dt", *below_zero]
    return panels(points, values, diverging=diverging, columns=2, drawn=drawn(run), height=height)


def gene_scores(run: Run, genes: list[str]) -> pd.DataFrame:
    """Genes in the given order with their multi-kinetic score, NaN for genes without velocity.

    Only our fits have the score: other methods have one rate per gene or none.
    """
    if not run.info.is_ours:
        return pd.DataFrame({"Gene": genes})
    return pd.DataFrame({"Gene": genes, "Score": run.var.loc[genes, keys.MULTIKINETIC_SCORE].to_numpy()})
