"""Velocity on an embedding: options, figure and caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import plotly.graph_objects as go
from pandas import CategoricalDtype

from app.shared import cached
from app.shared.cells import drawn, group_names, run_in_words
from app.shared.charts import is_dark
from app.shared.color_picker import LABELS, LIST_SCORE, color_values, palette
from app.shared.grouping import groups_and_colors
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
GRID_POINTS = 30  # per side at density 1, as in `deepvelo.tl.graph.stream_lines.grid_arrows`
CELL_BOXES = 45  # per side at density 1, with one cell arrow each
DIVERGING_COLORS = {"gene_velocity"}
_PROBABILITIES = (0.5, 1.0)  # the same colour scale in every run
_RATES = {keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP}

KIND_WORDS: dict[Kind, str] = {
    "Stream": "Lines follow the average direction of nearby cells; arrowheads show the direction.",
    "Grid arrows": "Each arrow is the average direction of the cells around it; a longer arrow means that they agree more.",
    "Cell arrows": "Each arrow starts at a cell and shows the direction of its velocity; a subset of cells is shown.",
    "No arrows": "Each point is a cell; cells with similar expression are close together.",
}
NOT_SPEED = (
    "Arrow length and line density are not speed, and a projection to two dimensions can distort a correct direction: "
    "check the phase portraits of the genes."
)
COLOR_WORDS = {
    keys.LATENT_TIME: (
        "Latent time, 0 to 1, orders cells along the arrows. It has no unit, and it is not meaningful where arrows form a "
        "cycle."
    ),
    keys.PSEUDOTIME: (
        "Pseudotime, 0 to 1, is the distance of a random walk along the arrows from the earliest cell in latent time. It "
        "has no unit."
    ),
    keys.CONFIDENCE: (
        "Probability that a cell's direction is correct, calibrated on simulated tissue with known directions. "
        "0.5 is a coin flip, however smooth the arrows look."
    ),
    keys.UNDECIDED: (
        "Undecided: the counts support both directions about equally, or the group has too few cells."
    ),
    keys.CONSISTENCY: (
        "Consistency: mean cosine between a cell's velocity and those of its neighbours; 1 is the same direction. It "
        "measures smoothness, not correctness: velocities are averaged over the same neighbours, which raises it."
    ),
    keys.CONSISTENCY_CELLTYPE: (
        "Mean cosine between a cell's velocity and those of all cells of its type; 1 is the same direction. It measures "
        "smoothness, not correctness."
    ),
    LIST_SCORE: (
        "Score: mean of the list's genes, minus the mean of random control genes of similar expression, on the log of smoothed "
        "spliced counts. 0: as expected of such genes."
    ),
    "gene_velocity": "Orange: spliced RNA increases; blue: it decreases; grey: no change, or not known.",
}


_EARLIER_CONFIDENCE = "Confidence of an earlier version, 0 to 1: it ranks cells and is not a probability. Train again to get probabilities."
_SCVELO_CONSISTENCY = (
    "Consistency: mean cosine between a cell's velocity and those of its neighbours; 1 is the same direction. It measures "
    "smoothness, not correctness: counts were averaged over the same neighbours before the fit, which raises it."
)


@dataclass(frozen=True, kw_only=True)
class View:
    """Options of the figure."""

    basis: str
    kind: Kind
    color: str
    gene: str
    density: float
    smooth: float


def bases(run: Run) -> list[str]:
    """Embeddings of cells: the run's own first, PCA last; Kinetic rates shows those of rates."""
    found = [
        name.removeprefix("X_")
        for name in run.obsm
        if name.startswith("X_") and name not in _RATES and run.n_dimensions(name) >= 2
    ]
    return sorted(found, key=lambda basis: (basis != run.info.basis, basis == "pca", basis))


def basis_label(basis: str) -> str:
    """Name of the embedding, as people write it."""
    return {"tsne": "t-SNE"}.get(basis, basis.upper() if len(basis) <= 4 else basis)


def velocity_figure(run: Run, view: View) -> go.Figure:
    """Cells in the chosen colour, with the chosen arrows over them."""
    dark = is_dark()
    points = run.obsm[keys.embedding(view.basis)][:, :2]
    values = color_values(run, view.color, gene=view.gene)
    axis_name = "PC" if view.basis == "pca" else basis_label(view.basis)
    if isinstance(values.dtype, CategoricalDtype):
        groups = group_names(values)
        colors = palette(run, view.color, groups)
        fig = scatter(points, groups, colors=colors, axis_name=axis_name, drawn=drawn(run), dark=dark)
    else:
        numbers = values.to_numpy(dtype=np.float32)
        groups, _ = groups_and_colors(run)
        diverging = view.color in DIVERGING_COLORS or bool(
            view.color.startswith("gene_") and (numbers < 0).any()
        )
        fig = scatter(
            points, groups, values=numbers, value_title=color_title(run, view), diverging=diverging,
            limits=color_limits(run, view), axis_name=axis_name, drawn=drawn(run), dark=dark,
        )  # fmt: skip
    _add_arrows(fig, run, view, points)
    # The same for every colour, so that the map stays in place when a legend becomes a colour bar.
    fig.update_layout(margin={"l": 40, "b": 40, "r": theme.legend_width(groups), "autoexpand": False})
    return fig


def _add_arrows(fig: go.Figure, run: Run, view: View, points: np.ndarray) -> None:
    """Draw streams or arrows, faded where most cells are undecided."""
    run_id, dark = run.info.run_id, is_dark()
    undecided = undecided_cells(run)
    span = float(np.ptp(points[np.isfinite(points).all(axis=1)], axis=0).max())
    match view.kind:
        case "Stream":
            stream = cached.stream(run_id, view.basis, view.density, view.smooth)
            positions = [stream.arrow_xy, *stream.lines]
            masks = _mostly_undecided(undecided, np.concatenate(positions), points)
            faded_arrows, *faded_lines = np.split(masks, np.cumsum([len(part) for part in positions])[:-1])
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
    """Mask of the positions ``at``, shape ``(n_positions, 2)``, whose nearest cells are mostly undecided."""
    if undecided is None:
        return np.zeros(len(at), dtype=bool)
    cached.warm_up().join()
    from deepvelo.tl.graph.stream_lines import mostly_of

    return mostly_of(undecided, at, points)


def color_limits(run: Run, view: View) -> tuple[float, float] | None:
    """Limits of the colour scale; None to take them from the values."""
    return _PROBABILITIES if view.color == keys.CONFIDENCE and has_probability(run) else None


def color_title(run: Run, view: View) -> str:
    """Title of the colour bar, with its unit."""
    if view.color == keys.CONFIDENCE:
        return (
            "probability that the direction is correct" if has_probability(run) else "confidence in direction"
        )
    return {
        "gene": f"{view.gene}, spliced, normalised counts (smoothed)",
        LIST_SCORE: "mean score of the gene list, ln(1 + counts)",
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
    """The caption of the figure."""
    color = COLOR_WORDS.get(view.color, "")
    if view.color == keys.CONSISTENCY and not run.info.is_ours:
        color = _SCVELO_CONSISTENCY
    if view.color == keys.CONFIDENCE and not has_probability(run):
        color = _EARLIER_CONFIDENCE
    if view.color == "gene_velocity" and not run.var.loc[view.gene, keys.VELOCITY_GENES]:
        color = f"{escape(view.gene)} has no velocity in this run, so the arrows do not use it."
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
