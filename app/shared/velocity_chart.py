"""Velocity on an embedding: what can be chosen, the figure, and what it says in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import plotly.graph_objects as go
from pandas import CategoricalDtype

from app.shared import cached
from app.shared.cells import drawn, group_names, run_in_words
from app.shared.charts import is_dark
from app.shared.color_picker import LABELS, color_values
from app.shared.text import escape
from app.shared.undecided import has_probability, undecided_cells, undecided_in_words
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.pl.arrows import add_arrows, thin
from deepvelo.pl.embedding import scatter
from deepvelo.pl.stream import add_stream

Kind = Literal["Stream", "Grid arrows", "Cell arrows", "No arrows"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GRID_POINTS = 30  # along a side at density 1, as `deepvelo.tl.graph.stream_lines.grid_arrows` lays them
CELL_BOXES = 45  # along a side at density 1; one cell arrow in each
DIVERGING_COLORS = {"gene_velocity"}
_COIN_FLIP_TO_SURE = (0.5, 1.0)  # the same colours for the same probability in every run
_RATES = {keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP}

KIND_WORDS: dict[Kind, str] = {
    "Stream": "Lines follow the average direction in which cells near them are moving; arrowheads show which way.",
    "Grid arrows": "Each arrow is the average direction of the cells around it; longer means that they agree more.",
    "Cell arrows": "Each arrow starts at one cell and shows where its spliced RNA is heading; some cells are shown.",
    "No arrows": "Each point is a cell; cells with similar expression lie close together.",
}
NOT_SPEED = (
    "Arrow length and line density are not speed, and two dimensions can bend a true direction: "
    "check the phase portraits of the genes behind it."
)
COLOR_WORDS = {
    keys.LATENT_TIME: (
        "Latent time, 0 to 1, is the order of cells that fits all arrows best; it is no clock, and where arrows run round "
        "it says little."
    ),
    keys.PSEUDOTIME: (
        "Pseudotime, 0 to 1, is how far a walk along the arrows gets from the cell that is first in latent time; it is "
        "no clock."
    ),
    keys.CONFIDENCE: (
        "Probability that a cell's direction is right, calibrated on simulated tissue whose directions are known. "
        "0.5 is a coin flip, however smooth the arrows look there."
    ),
    keys.UNDECIDED: (
        "Undecided: the counts support both directions about equally, or the group has too few cells to tell."
    ),
    keys.CONSISTENCY: (
        "Smooth is not correct: the mean cosine between a cell's velocity and its neighbours', the consistency of "
        "the runs table; 1 means the same direction. Velocities are averaged over these neighbours, so much of it "
        "is built in."
    ),
    keys.CONSISTENCY_CELLTYPE: (
        "Smooth is not correct: the mean cosine between a cell's velocity and that of all cells of its type; "
        "1 means the same direction."
    ),
    "gene_velocity": "Orange: the gene's spliced RNA is rising; blue: falling; grey: steady or not known.",
}


_EARLIER_CONFIDENCE = "Confidence of an earlier version, 0 to 1: it ranks cells and is not a probability. Train again to get one."
_SCVELO_CONSISTENCY = (
    "Smooth is not correct: the mean cosine between a cell's velocity and its neighbours', the consistency of "
    "the runs table; 1 means the same direction. Counts were averaged over these neighbours before the fit, "
    "so some of it is built in."
)


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything the picture depends on, besides the run."""

    basis: str
    kind: Kind
    color: str
    gene: str
    density: float
    smooth: float


def bases(run: Run) -> list[str]:
    """Embeddings of cells in the run: the fitted one first, PCA last; those of rates have their own page."""
    found = [
        name.removeprefix("X_")
        for name in run.obsm
        if name.startswith("X_") and name not in _RATES and run.n_dimensions(name) >= 2
    ]
    return sorted(found, key=lambda basis: (basis != run.info.basis, basis == "pca", basis))


def basis_label(basis: str) -> str:
    """The embedding's name as people write it."""
    return {"tsne": "t-SNE"}.get(basis, basis.upper() if len(basis) <= 4 else basis)


def velocity_figure(run: Run, view: View) -> go.Figure:
    """Cells in the chosen colour, with the chosen arrows over them."""
    dark = is_dark()
    points = run.obsm[keys.embedding(view.basis)][:, :2]
    values = color_values(run, view.color, gene=view.gene)
    axis_name = "PC" if view.basis == "pca" else basis_label(view.basis)
    if isinstance(values.dtype, CategoricalDtype):
        groups = group_names(values)
        colors = theme.group_colors(groups, run.uns_colors(view.color))
        fig = scatter(points, groups, colors=colors, axis_name=axis_name, drawn=drawn(run), dark=dark)
    else:
        numbers = values.to_numpy(dtype=np.float32)
        groups = group_names(run.obs[run.info.cluster_key])
        diverging = view.color in DIVERGING_COLORS or bool(
            view.color.startswith("gene_") and (numbers < 0).any()
        )
        fig = scatter(
            points, groups, values=numbers, value_title=color_title(run, view), diverging=diverging,
            limits=color_limits(run, view), axis_name=axis_name, drawn=drawn(run), dark=dark,
        )  # fmt: skip
    _add_arrows(fig, run, view, points)
    return fig


def _add_arrows(fig: go.Figure, run: Run, view: View, points: np.ndarray) -> None:
    """Streams or arrows, faded where most cells, or the cell itself, are undecided."""
    run_id, dark = run.info.run_id, is_dark()
    undecided = undecided_cells(run)
    span = float(np.ptp(points[np.isfinite(points).all(axis=1)], axis=0).max())
    match view.kind:
        case "Stream":
            stream = cached.stream(run_id, view.basis, view.density, view.smooth)
            places = [stream.arrow_xy, *stream.lines]
            masks = _mostly_undecided(undecided, np.concatenate(places), points)
            faded_arrows, *faded_lines = np.split(masks, np.cumsum([len(part) for part in places])[:-1])
            add_stream(
                fig, stream.lines, arrow_xy=stream.arrow_xy, arrow_direction=stream.arrow_direction,
                faded=faded_lines, faded_arrows=faded_arrows, dark=dark,
            )  # fmt: skip
        case "Grid arrows":
            at, arrows = cached.arrows(run_id, view.basis, view.density, view.smooth)
            add_arrows(
                fig, at, arrows, longest=1.1 * span / (GRID_POINTS * view.density),
                faded=_mostly_undecided(undecided, at, points), dark=dark,
            )  # fmt: skip
        case "Cell arrows":
            arrows = cached.velocity_on(run_id, view.basis)
            rows = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(arrows).all(axis=1))
            boxes = int(CELL_BOXES * view.density)
            rows = rows[thin(points[rows], boxes=(boxes, boxes))]
            faded = None if undecided is None else undecided[rows]
            add_arrows(fig, points[rows], arrows[rows], longest=0.035 * span, faded=faded, dark=dark)


def _mostly_undecided(undecided: np.ndarray | None, at: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Mask of the places, ``(n_places, 2)``, whose nearest cells are mostly undecided."""
    if undecided is None:
        return np.zeros(len(at), dtype=bool)
    cached.warm_up().join()
    from deepvelo.tl.graph.stream_lines import mostly_of

    return mostly_of(undecided, at, points)


def color_limits(run: Run, view: View) -> tuple[float, float] | None:
    """Ends of the colour scale where they are the same in every run; None where the run's cells decide."""
    return _COIN_FLIP_TO_SURE if view.color == keys.CONFIDENCE and has_probability(run) else None


def color_title(run: Run, view: View) -> str:
    """What the colour bar measures, with its unit."""
    if view.color == keys.CONFIDENCE:
        return (
            "probability that the direction is right" if has_probability(run) else "confidence in direction"
        )
    return {
        "gene": f"{view.gene}, spliced, normalised counts (smoothed)",
        "gene_velocity": f"{view.gene}, velocity ds/dt, normalised counts per unit time",
        "gene_alpha": f"{view.gene}, α, normalised counts per unit time",
        "gene_beta": f"{view.gene}, β, per unit time",
        "gene_gamma": f"{view.gene}, γ, per unit time",
        keys.CONSISTENCY: "consistency, neighbours (mean cosine)",
        keys.CONSISTENCY_CELLTYPE: "consistency, cell type (mean cosine)",
        keys.LATENT_TIME: "latent time",
        keys.PSEUDOTIME: "velocity pseudotime",
    }.get(view.color, LABELS.get(view.color, view.color))


def in_words(run: Run, view: View) -> str:
    """The caption under the picture."""
    color = COLOR_WORDS.get(view.color, "")
    if view.color == keys.CONSISTENCY and not run.info.is_ours:
        color = _SCVELO_CONSISTENCY
    if view.color == keys.CONFIDENCE and not has_probability(run):
        color = _EARLIER_CONFIDENCE
    if view.color == "gene_velocity" and not run.var.loc[view.gene, keys.VELOCITY_GENES]:
        color = f"{escape(view.gene)} has no velocity in this run and no part in the arrows."
    parts = [KIND_WORDS[view.kind], color, run_in_words(run)]
    points = run.obsm[keys.embedding(view.basis)][:, :2]
    points = points[np.isfinite(points).all(axis=1)]
    if (points == points[:1]).all():
        parts[0] = (
            "All cells lie at one point in this embedding, so no arrow is drawn. Choose another embedding."
        )
    elif view.kind != "No arrows":
        parts[1:1] = [undecided_in_words(run), NOT_SPEED]
    return " ".join(part for part in parts if part)
