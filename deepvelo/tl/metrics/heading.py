"""The neighbouring group that the arrows of a group point at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.tl.lineage.group_edges import FEW_CELLS
from deepvelo.tl.metrics.boundary import boundary_scores

LEAST_COSINE = 0.2  # below it arrows point nowhere: past a neighbour, or away from all of them
LEAST_CELLS = 5  # a mean over fewer says little
LEAST_ERRORS = 2  # standard errors from 0: the best of several neighbours is above it by chance


def headings(
    arrows: np.ndarray,
    positions: np.ndarray,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    sources: Sequence[str],
) -> pd.DataFrame:
    """For each group, the neighbouring group that most of its arrows point at.

    A candidate is every group with graph neighbours of at least `LEAST_CELLS` of the source's cells. Its mean cosine
    is the cross-boundary direction correctness (`deepvelo.tl.metrics.boundary`): over these cells, of their arrows with the
    displacements to
    their neighbours there. Among the candidates that reach `LEAST_COSINE` and `LEAST_ERRORS` the target is the one with
    the largest sum of cosines over the cells: by the mean alone, a group of few cells behind the next one would win.

    Parameters
    ----------
    arrows, positions
        Arrows and cells on an embedding, ``(n_cells, 2)``; a cell without arrow is NaN.
    graph
        Sparse ``(n_cells, n_cells)``; the stored entries of a row are the cell's neighbours.
    groups
        Group of every cell, shape ``(n_cells,)``.
    sources
        The groups to answer for.

    Returns
    -------
    Index: source; ``target``, None where no candidate reaches both; its mean ``cosine``, how many ``n_cells``
    that is over, and whether it rests on ``few``: under `FEW_CELLS` of them, or in the whole target. Without a target
    these are of the candidate with the highest mean, ``few`` of the source alone; NaN, 0, False without candidates.
    """
    edges = sp.coo_matrix(graph)
    names = np.asarray(groups)
    sizes = dict(zip(*np.unique(names, return_counts=True), strict=True))
    rows: dict[str, tuple[str | None, float, int, bool]] = {}
    for source in sources:
        around = np.unique(names[edges.col[names[edges.row] == source]])
        candidates, reached = [], []
        targets = around[around != source]
        by_target = boundary_scores(
            arrows, positions, graph=graph, groups=names, edges=[(source, target) for target in targets]
        )
        for target, of_cells in zip(targets, by_target, strict=True):
            scores = of_cells[np.isfinite(of_cells)]
            if len(scores) >= LEAST_CELLS:
                few = min(len(scores), sizes[target]) < FEW_CELLS
                found = (str(target), float(scores.mean()), len(scores), bool(few))
                error = scores.std(ddof=1) / np.sqrt(len(scores))
                candidates.append(found)
                if found[1] >= max(LEAST_COSINE, LEAST_ERRORS * error):
                    reached.append(found)
        if reached:
            rows[source] = max(reached, key=lambda found: found[1] * found[2])
        else:
            best = max(candidates, key=lambda found: found[1], default=None)
            few = best is not None and bool(sizes[source] < FEW_CELLS)
            rows[source] = (None, *(best[1:3] if best else (np.nan, 0)), few)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["target", "cosine", "n_cells", "few"])
