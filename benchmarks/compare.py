"""Seconds for the scores of the comparison at the size of a usual data set.

``python benchmarks/compare.py [--cells 3000] [--genes 2000] [--json FILE]``

Velocities of four methods are made up: a common field and noise, over a graph of 30 neighbours. Times do not depend
on the values. The targets are 2 s for both consistencies of a method together, and 2 s for the agreement map.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

N_METHODS: Final = 4
N_NEIGHBORS: Final = 30
N_GROUPS: Final = 10
REPEATS: Final = 3


def measure(cells: AnnData, velocities: list[np.ndarray]) -> pd.DataFrame:
    """Median seconds of each score, one row a score."""
    import numpy as np
    import pandas as pd

    from deepvelo import keys
    from deepvelo.tl.metrics.agreement import agreement, disagreement
    from deepvelo.tl.metrics.boundary import boundary_correctness
    from deepvelo.tl.metrics.coherence import coherence
    from deepvelo.tl.metrics.consistency import celltype_consistency, neighbor_consistency
    from deepvelo.tl.metrics.effect_size import mann_whitney
    from deepvelo.tl.velocity.smoothing import average_over_graph

    velocity, graph, groups = velocities[0], cells.obsp[keys.DISTANCES], cells.obs[keys.CLUSTERS]
    edges = {"graph": graph, "groups": groups.to_numpy(), "source": "0", "target": "1"}
    arrows, embedding = velocity[:, :2], cells.obsm[keys.X_UMAP]
    moments = cells.layers[keys.MS]
    region = np.arange(cells.n_obs // 10)
    consistency = [neighbor_consistency(v, graph) for v in velocities[:2]]
    rows: dict[str, Callable[[], object]] = {
        "both consistencies, one method": lambda: (
            neighbor_consistency(velocity, graph),
            celltype_consistency(velocity, groups),
        ),
        "coherence, one method": lambda: coherence(velocity, graph, groups),
        "boundary in an embedding, one edge": lambda: boundary_correctness(arrows, embedding, **edges),
        "boundary in gene space, one edge": lambda: boundary_correctness(velocity, moments, **edges),
        "Mann-Whitney test, two methods": lambda: mann_whitney(*consistency),
        "averaging over the graph, one method": lambda: average_over_graph(cells, velocity, times=1),
        f"agreement map, {N_METHODS} methods": lambda: agreement(velocities),
        f"genes that disagree in {len(region)} cells": lambda: disagreement(velocities, cells=region),
    }
    return pd.DataFrame([{"score": name, "seconds": _seconds(score)} for name, score in rows.items()])


def made_up(*, n_cells: int, n_genes: int) -> tuple[AnnData, list[np.ndarray]]:
    """Cells with graph, groups, moments and embedding, and the velocities of the methods."""
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from sklearn.neighbors import kneighbors_graph

    from deepvelo import keys

    rng = np.random.default_rng(0)
    positions = rng.random((n_cells, 2))
    groups = (positions[:, 0] * N_GROUPS).astype(int).astype(str)
    cells = AnnData(
        obs=pd.DataFrame({keys.CLUSTERS: pd.Categorical(groups)}, index=np.arange(n_cells).astype(str)),
        layers={keys.MS: rng.random((n_cells, n_genes), dtype=np.float32)},
        obsm={keys.X_UMAP: positions},
        obsp={
            keys.DISTANCES: kneighbors_graph(positions, N_NEIGHBORS, mode="distance"),
            keys.CONNECTIVITIES: kneighbors_graph(positions, N_NEIGHBORS),
        },
    )
    common = rng.standard_normal((n_cells, n_genes), dtype=np.float32)
    noise = (rng.standard_normal((n_cells, n_genes), dtype=np.float32) for _ in range(N_METHODS))
    return cells, [common + other for other in noise]


def _seconds(score: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        score()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measure and print the table."""
    from benchmarks.accuracy import write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=3000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    started = time.perf_counter()
    rows = measure(*made_up(n_cells=args.cells, n_genes=args.genes))
    print(f"{args.cells:,} cells x {args.genes:,} genes, median of {REPEATS}")
    print(rows.to_string(index=False, float_format="{:.3f}".format))
    if args.json:
        write(args.json, rows, seconds=time.perf_counter() - started)


if __name__ == "__main__":
    main()
