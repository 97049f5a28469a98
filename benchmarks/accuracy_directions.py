"""Where velocities point the wrong way: scores of a cosine that lies in each cell, which a mean over cells hides.

Everywhere ``cosine`` has shape ``(n_cells,)``, and a NaN leaves its cell out. Tenths of a type's true time hold equal
numbers of its moving cells, earliest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from benchmarks.accuracy_scores import mean

CELL_MOVES = 0.05  # of the median true speed of the cells that have one
N_TENTHS = 10
STRETCH_CELLS = 20
TYPE_CELLS = 30


@dataclass(frozen=True)
class Stretch:
    """Neighbouring tenths of one cell type that point backwards."""

    cell_type: str
    first: int
    """First tenth, 1 to 10."""
    last: int
    cells: int
    cosine: float
    """Mean over its cells."""


def moving_cells(velocity: np.ndarray) -> np.ndarray:
    """Cells whose true speed exceeds 5% of the median speed, shape ``(n_cells,)``.

    Parameters
    ----------
    velocity
        True ds/dt, shape ``(n_cells, n_genes)``, exactly 0 at rest; the median is over cells whose speed is not 0.
    """
    speed = np.linalg.norm(velocity, axis=1)
    return speed > CELL_MOVES * np.median(speed[speed > 0]) if speed.any() else np.zeros(len(speed), bool)


def share_below_zero(cosine: np.ndarray) -> float:
    """Share of the cells that point away from the truth."""
    known = cosine[np.isfinite(cosine)]
    return mean((known < 0).astype(float))


def tenths(time: np.ndarray, groups: np.ndarray, *, moving: np.ndarray) -> np.ndarray:
    """Each moving cell's tenth of its type's true time, 0 to 9; -1 for the others and where no time is known."""
    found = np.full(len(time), -1)
    chosen = moving & np.isfinite(time)
    for group in np.unique(groups[chosen]):
        cells = np.flatnonzero(chosen & (groups == group))
        cells = cells[np.argsort(time[cells], kind="stable")]
        found[cells] = np.arange(len(cells)) * N_TENTHS // len(cells)
    return found


def mean_by_tenth(cosine: np.ndarray, groups: np.ndarray, tenth: np.ndarray) -> dict[str, list[float]]:
    """Ten means of every type, earliest first; NaN where a tenth holds no cell. ``tenth`` as `tenths` gives it."""
    return {
        str(group): [mean(cosine[(groups == group) & (tenth == i)]) for i in range(N_TENTHS)]
        for group in np.unique(groups[tenth >= 0])
    }


def reversed_stretches(cosine: np.ndarray, groups: np.ndarray, tenth: np.ndarray) -> list[Stretch]:
    """Runs of neighbouring tenths whose means are below 0, with at least 20 cells together."""
    found = []
    for cell_type, means in mean_by_tenth(cosine, groups, tenth).items():
        for backwards, run in groupby(range(N_TENTHS), key=lambda i: means[i] < 0):
            places = list(run)
            inside = cosine[(groups == cell_type) & np.isin(tenth, places)]
            inside = inside[np.isfinite(inside)]
            if backwards and len(inside) >= STRETCH_CELLS:
                ends = places[0] + 1, places[-1] + 1
                found.append(Stretch(cell_type, *ends, cells=len(inside), cosine=mean(inside)))
    return found


def worst_type(cosine: np.ndarray, groups: np.ndarray) -> tuple[str, float]:
    """The type of at least 30 cells with the lowest mean, and that mean; no name and NaN without such a type."""
    known = np.isfinite(cosine)
    names, sizes = np.unique(groups[known], return_counts=True)
    means = {str(name): mean(cosine[known & (groups == name)]) for name in names[sizes >= TYPE_CELLS]}
    return min(means.items(), key=lambda item: item[1], default=("", float("nan")))
