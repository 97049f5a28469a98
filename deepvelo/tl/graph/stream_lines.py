"""Velocity on an embedding as stream lines or as arrows on a grid: scVelo's grid, matplotlib's integration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepvelo.plan import MOST_STREAMED

# scVelo's cut-offs are plain numbers that suit a UMAP about this wide; every embedding is scaled to it.
_WIDTH = 20.0
_MIN_NEIGHBORS = 10
_PLACE = 0.1  # grid steps: width of the places whose means stand for very many cells
_THINNEST = 1e-6  # height by width below which cells lie on a line and no grid is possible
# With scVelo's 1, lines and arrows run far out into regions without cells.
_MIN_MASS_STREAM = 2.5  # velocity below 10 ** (this - 6) is left out
_MIN_MASS_GRID = 3.0  # percent of the densest places' mass
_NEAREST = 15  # cells that decide whether a line is faded


@dataclass(frozen=True, kw_only=True)
class StreamLines:
    """Stream lines in embedding coordinates.

    ``lines`` are arrays of shape ``(n_points, 2)`` in the direction of the flow; ``arrow_xy`` and
    ``arrow_direction``, shape ``(n_lines, 2)``, give the middle of each line and its unit direction there.
    """

    lines: list[np.ndarray]
    arrow_xy: np.ndarray
    arrow_direction: np.ndarray


def stream_lines(X: np.ndarray, V: np.ndarray, *, density: float = 1.0, smooth: float = 0.5) -> StreamLines:
    """Integrate the velocity field averaged on a grid.

    Parameters
    ----------
    X, V
        Embedding and arrows on it, shape ``(n_cells, 2)``; cells with a NaN in either are left out.
    density
        How closely lines are packed; 1 is scVelo's stream plot.
    smooth
        Width of the Gaussian over cells, in grid steps.

    Returns
    -------
    Lines, none where no cell is near, nothing moves or all cells lie along one axis.
    """
    from matplotlib.figure import Figure

    scaled = _scaled(X, V)
    if scaled is None:
        return StreamLines(lines=[], arrow_xy=np.empty((0, 2)), arrow_direction=np.empty((0, 2)))
    points, vectors, offset, unit = scaled
    grid, field = _on_grid(points, vectors, density=1.0, smooth=smooth, for_stream=True)
    # Not pyplot's figure: pages of several visitors are drawn in threads.
    axes = Figure().add_subplot()
    drawn = axes.streamplot(
        grid[0], grid[1], field[0], field[1], start_points=_starts(grid, field, density=density),
        density=2 * density, maxlength=4, color="k", linewidth=1,
    )  # fmt: skip
    lines = [np.asarray(line) * unit + offset for line in drawn.lines.get_segments() if len(line) > 1]
    heads = [_middle(line) for line in lines]
    return StreamLines(
        lines=lines,
        arrow_xy=np.array([xy for xy, _ in heads]).reshape(-1, 2),
        arrow_direction=np.array([direction for _, direction in heads]).reshape(-1, 2),
    )


def grid_arrows(
    X: np.ndarray, V: np.ndarray, *, density: float = 1.0, smooth: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Average velocity at the points of a grid near cells.

    Parameters
    ----------
    X, V
        Embedding and arrows on it, shape ``(n_cells, 2)``; cells with a NaN in either are left out.
    density
        1 lays 30 grid points along each side.
    smooth
        Width of the Gaussian over cells, in grid steps.

    Returns
    -------
    Positions and mean arrows, each ``(n_points, 2)``, in the units of ``X``; lengths are relative.
    """
    scaled = _scaled(X, V)
    if scaled is None:
        return np.empty((0, 2)), np.empty((0, 2))
    points, vectors, offset, unit = scaled
    grid, field = _on_grid(points, vectors, density=0.6 * density, smooth=smooth, for_stream=False)
    return grid * unit + offset, field * unit


def mostly_of(cells: np.ndarray, at: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Whether more than half of the 15 cells nearest to a place belong to a set of cells.

    Parameters
    ----------
    cells
        Mask of the set, shape ``(n_cells,)``.
    at
        Places on the embedding, shape ``(n_places, 2)``.
    X
        Embedding, shape ``(n_cells, 2)``; cells with a NaN are left out.

    Returns
    -------
    Shape ``(n_places,)``; all False where no cell has coordinates.
    """
    from scipy.spatial import KDTree

    known = np.isfinite(X).all(axis=1)
    n_nearest = min(_NEAREST, int(known.sum()))
    if not n_nearest or not len(at):
        return np.zeros(len(at), dtype=bool)
    _, nearest = KDTree(X[known]).query(at, k=np.arange(1, n_nearest + 1))
    return np.asarray(cells[known][nearest].mean(axis=1) > 0.5)


def _scaled(X: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    known = np.isfinite(X).all(axis=1) & np.isfinite(V).all(axis=1)
    points, vectors = X[known].astype(float), V[known].astype(float)
    if len(points) < 2 or not vectors.any():
        return None
    offset = points.min(axis=0)
    spans = np.ptp(points, axis=0)
    if spans.min() <= _THINNEST * spans.max():
        return None
    unit = float(spans.max()) / _WIDTH
    # Typical arrows get length 1, so that directions show where velocity is low everywhere.
    typical = float(np.quantile(np.linalg.norm(vectors, axis=1), 0.9)) or float(np.abs(vectors).max())
    return (points - offset) / unit, vectors / typical, offset, unit


def _on_grid(
    points: np.ndarray, vectors: np.ndarray, *, density: float, smooth: float, for_stream: bool
) -> tuple[np.ndarray, np.ndarray]:
    # scVelo takes seconds to import.
    from scvelo.plotting.velocity_embedding_grid import compute_velocity_on_grid

    if len(points) > MOST_STREAMED:
        points, vectors = _place_means(points, vectors)
    # scVelo takes a 50th of the cells, which is none of 40.
    n_neighbors = min(len(points), max(len(points) // 50, _MIN_NEIGHBORS))
    grid, field = compute_velocity_on_grid(
        points, vectors, density=density, smooth=smooth, n_neighbors=n_neighbors,
        min_mass=_MIN_MASS_STREAM if for_stream else _MIN_MASS_GRID, autoscale=False, adjust_for_stream=for_stream,
    )  # fmt: skip
    return grid, field


def _place_means(points: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean position and mean arrow of the cells of every place; a cell alone in its place stays as it is."""
    column, row = (points / _PLACE).astype(np.int64).T
    _, place, n_cells = np.unique(column * (row.max() + 1) + row, return_inverse=True, return_counts=True)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(place, axis) / n_cells for axis in values.T], axis=1)

    return mean(points), mean(vectors)


def _starts(grid: np.ndarray, field: np.ndarray, *, density: float) -> np.ndarray:
    """Where lines may start: a lattice, outer points first as streamplot does, only where there is a field.

    streamplot would try every point of the empty background, which takes three times as long.
    """
    n_steps = grid.shape[1] - 1
    steps = np.linspace(0, n_steps, int(40 * density) + 2)[1:-1]
    column, row = (axis.ravel() for axis in np.meshgrid(steps, steps))
    left, low = column.astype(int), row.astype(int)
    empty = np.isnan(field[0])
    valid = ~(empty[low, left] | empty[low, left + 1] | empty[low + 1, left] | empty[low + 1, left + 1])
    outer_first = np.argsort(-np.maximum(abs(column - n_steps / 2), abs(row - n_steps / 2)), kind="stable")
    chosen = outer_first[valid[outer_first]]
    spacing = (grid[:, -1] - grid[:, 0]) / n_steps
    return grid[:, 0] + np.stack([column[chosen], row[chosen]], axis=1) * spacing


def _middle(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = np.diff(line, axis=0)
    lengths = np.cumsum(np.linalg.norm(steps, axis=1))
    i = int(np.searchsorted(lengths, lengths[-1] / 2))
    direction = steps[i] / (np.linalg.norm(steps[i]) or 1.0)
    return line[i] + steps[i] / 2, direction
