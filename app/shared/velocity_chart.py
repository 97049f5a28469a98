"""Velocity on an embedding: options, figure and caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import plotly.graph_objects as go
from pandas import CategoricalDtype

from app.shared import cached
from app.shared.cells import drawn, group_names, run_in_words
from app.shared.charts import is_dark
from app.shared.color_picker import LABELS, LIST_SCORE, color_values, palette
from app.shared.grouping import grouping_options, groups_and_colors, groups_of
from app.shared.text import escape
from app.shared.undecided import has_probability, undecided_cells, undecided_in_words
from deepvelo import keys
from deepvelo.contents import maps
from deepvelo.contents.coordinates import is_spatial
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.pl.arrows import arrow_traces, thin
from deepvelo.pl.assembly import Part
from deepvelo.pl.embedding import scatter
from deepvelo.pl.space import arrows_3d, scatter_3d
from deepvelo.pl.split import MOST_PARTS, axis_of, split
from deepvelo.pl.stream import stream_traces

Kind = Literal["Stream", "Grid arrows", "Cell arrows", "No arrows"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GRID_POINTS = 30  # per side at density 1, as in `deepvelo.tl.graph.stream_lines.grid_arrows`
CELL_BOXES = 45  # per side at density 1, with one cell arrow each
DIVERGING_COLORS = {"gene_velocity"}
_PROBABILITIES = (0.5, 1.0)  # the same colour scale in every run
_LEAST_CELLS = 30  # of a panel with arrows
_IN_PANELS = 0.75  # density of arrows by that on one map
IN_SPACE: tuple[Kind, ...] = ("Cell arrows", "No arrows")  # on three axes

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
IN_SPACE_NOT_SPEED = (
    "Arrow length is not speed, and a projection to three dimensions can distort a correct direction: check the phase "
    "portraits of the genes."
)
SPACE_WORDS = "Drag to turn, scroll to zoom; click a name in the legend to select its cells."
SPATIAL_WORDS = "Spatial coordinates are drawn with y downwards, as in images of the tissue."
IN_PLACE = "Each point is a cell at its place in the tissue."
SPATIAL_ARROWS = "Arrows point to places where cells of the next state lie; cells do not travel along them."
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
    axes: cached.Axes = (0, 1)
    """Two or three columns of the map."""
    split: str | None = None
    """Grouping of which each group has its own panel; only on two axes."""

    @property
    def in_space(self) -> bool:
        """Whether there are three axes."""
        return len(self.axes) == 3

    @property
    def shown(self) -> str:
        """What the axes show: zoom and pan stay while it is the same."""
        return f"{self.basis} {self.axes} {self.split}"


def bases(run: Run) -> list[str]:
    """Maps of the cells of a run: its own first, PCA last; Kinetic rates shows those of rates."""
    found = [
        basis for basis in maps.maps(list(run.obsm)) if run.n_dimensions(maps.key_of(basis, run.obsm)) >= 2
    ]
    return sorted(found, key=lambda basis: (basis != run.info.basis, basis == "pca", basis))


def basis_label(basis: str) -> str:
    """Name of the embedding, as people write it."""
    return maps.label(basis)


def split_options(run: Run) -> list[str]:
    """Groupings with few enough groups for a panel each."""
    return [key for key in grouping_options(run) if 2 <= _n_groups(run, key) <= MOST_PARTS]


def _n_groups(run: Run, key: str) -> int:
    try:
        return len(groups_of(run, key).colors)
    except InputError:  # a damaged grouping made by hand, which says so where it is chosen
        return 0


def velocity_figure(run: Run, view: View) -> go.Figure:
    """Cells in the chosen colour, with the chosen arrows over them."""
    dark = is_dark()
    points = cached.points_on(run.info.run_id, view.basis, view.axes)
    values = color_values(run, view.color, gene=view.gene)
    colored: dict[str, Any] = {"drawn": drawn(run)}
    if isinstance(values.dtype, CategoricalDtype):
        groups = group_names(values)
        colored["colors"] = palette(run, view.color, groups)
    else:
        numbers = values.to_numpy(dtype=np.float32)
        groups, _ = groups_and_colors(run)
        diverging = view.color in DIVERGING_COLORS or bool(
            view.color.startswith("gene_") and (numbers < 0).any()
        )
        colored |= {
            "values": numbers, "value_title": color_title(run, view), "diverging": diverging,
            "limits": color_limits(run, view),
        }  # fmt: skip
    axis_names = [cached.map_axes(run.info.run_id, view.basis).get(column, "") for column in view.axes]
    y_down = is_spatial(view.basis)
    margin = 40
    if view.in_space:
        fig = scatter_3d(
            points, groups, over=_in_space(run, view, points), axis_names=axis_names, dark=dark, **colored
        )
        margin = 0
    elif view.split is None:
        fig = scatter(points, groups, axis_name=axis_names, y_down=y_down, dark=dark, **colored)
        fig.add_traces(_arrows(run, view, points))
    else:
        parts = split_parts(run, view.split)
        over = {
            title: _arrows(run, view, points, part=part)
            for title, part in parts.items()
            if part.sum() >= _LEAST_CELLS
        }
        fig = split(points, parts, groups, over=over, axis_names=axis_names, y_down=y_down, **colored)
    return in_place(fig, groups, margin=margin)


def in_place(fig: go.Figure, groups: np.ndarray, *, margin: int, legend: bool = True) -> go.Figure:
    """A map that stays in place when its legend becomes a colour bar: the space beside it is the same for every colour.

    The browser moves it below a narrow map. ``margin`` is for names of axes, in pixels; ``legend`` is False for
    maps that never have one.
    """
    fig.update_layout(
        margin={"l": margin, "b": margin, "r": theme.legend_width(groups), "autoexpand": False},
        meta={"n_groups": len({*groups}) if legend else 0},
    )
    return fig


def split_parts(run: Run, key: str) -> dict[str, np.ndarray]:
    """Mask of the cells in each panel by its title."""
    groups = groups_of(run, key)
    return {name: groups.codes == code for code, name in enumerate(groups.colors)}


def panel_points(run: Run, view: View) -> np.ndarray | dict[str, np.ndarray]:
    """Coordinates of the cells that an outline can select, as `app.selection.linked.Cells` takes them: in a panel, its own."""
    points = cached.points_on(run.info.run_id, view.basis, view.axes[:2])
    if view.split is None:
        return points
    parts = split_parts(run, view.split).values()
    return {axis_of(panel): np.where(part[:, None], points, np.nan) for panel, part in enumerate(parts)}


def _in_space(run: Run, view: View, points: np.ndarray) -> list[Part]:
    """Arrows of some cells on three axes."""
    if view.kind == "No arrows":
        return []
    vectors = cached.velocity_on(run.info.run_id, view.basis, view.axes)
    return arrows_3d(points, vectors, density=view.density, faded=undecided_cells(run), dark=is_dark())


def _arrows(run: Run, view: View, points: np.ndarray, *, part: np.ndarray | None = None) -> list[Part]:
    """Streams or arrows, faded where most cells are undecided; ``part`` is a mask of the cells whose arrows count."""
    run_id, dark = run.info.run_id, is_dark()
    undecided = undecided_cells(run)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return []
    span = float(np.ptp(points[known], axis=0).max())
    density = view.density
    if part is not None:  # panels are small
        points, known, density = np.where(part[:, None], points, np.nan), known & part, _IN_PANELS * density
    field = cached.Field(
        basis=view.basis, axes=view.axes, density=density, smooth=view.smooth,
        part=None if part is None else np.packbits(part).tobytes(),
    )  # fmt: skip
    match view.kind:
        case "Stream":
            stream = cached.stream(run_id, field)
            positions = [stream.arrow_xy, *stream.lines]
            masks = _mostly_undecided(undecided, np.concatenate(positions), points)
            faded_arrows, *faded_lines = np.split(masks, np.cumsum([len(part) for part in positions])[:-1])
            return stream_traces(
                stream.lines, arrow_xy=stream.arrow_xy, arrow_direction=stream.arrow_direction,
                faded=faded_lines, faded_arrows=faded_arrows, span=span, dark=dark,
            )  # fmt: skip
        case "Grid arrows":
            at, arrows = cached.arrows(run_id, field)
            return arrow_traces(
                at, arrows, longest=1.1 * span / (GRID_POINTS * density),
                faded=_mostly_undecided(undecided, at, points), dark=dark,
            )  # fmt: skip
        case "Cell arrows":
            arrows = cached.velocity_on(run_id, view.basis, view.axes)
            rows = np.flatnonzero(known & np.isfinite(arrows).all(axis=1))
            boxes = int(CELL_BOXES * density)
            rows = rows[thin(points[rows], boxes=(boxes, boxes))]
            faded = None if undecided is None else undecided[rows]
            return arrow_traces(points[rows], arrows[rows], longest=0.035 * span, faded=faded, dark=dark)
    return []


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
    down = SPATIAL_WORDS if is_spatial(view.basis) and not view.in_space else ""
    turned = SPACE_WORDS if view.in_space else ""
    parts = [turned, down, _split_in_words(run, view), _arrows_in_words(run, view), color, run_in_words(run)]
    return " ".join(part for part in parts if part)


def _arrows_in_words(run: Run, view: View) -> str:
    """What the arrows are and are not, or why there is none."""
    points = cached.points_on(run.info.run_id, view.basis, view.axes)
    points = points[np.isfinite(points).all(axis=1)]
    if (points == points[:1]).all():
        return "All cells lie at one point in this embedding, so no arrow is drawn. Choose another embedding."
    if view.kind == "No arrows":
        return IN_PLACE if is_spatial(view.basis) else KIND_WORDS[view.kind]
    parts = [
        KIND_WORDS[view.kind], SPATIAL_ARROWS if is_spatial(view.basis) else "", undecided_in_words(run),
        IN_SPACE_NOT_SPEED if view.in_space else NOT_SPEED,
    ]  # fmt: skip
    return " ".join(part for part in parts if part)


def _split_in_words(run: Run, view: View) -> str:
    """What the panels show, and which have too few cells for arrows; empty without panels."""
    if view.split is None:
        return ""
    words = "Each panel shows its own cells in colour, all cells in grey, and selects its own cells."
    if view.kind == "No arrows":
        return words
    few = [name for name, part in split_parts(run, view.split).items() if part.sum() < _LEAST_CELLS]
    words += " Arrows are averaged over the cells of the panel."
    return words + f" Fewer than {_LEAST_CELLS} cells, so no arrows: {escape(', '.join(few))}." * bool(few)
