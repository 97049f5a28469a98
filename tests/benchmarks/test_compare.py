"""The timing of the comparison's scores runs, on few cells."""

from __future__ import annotations

from benchmarks.compare import N_METHODS, made_up, measure


def test_every_score_is_timed():
    cells, velocities = made_up(n_cells=80, n_genes=10)
    assert len(velocities) == N_METHODS
    rows = measure(cells, velocities)
    assert (rows["seconds"] > 0).all()
    assert rows["score"].str.contains("consistencies|agreement").sum() == 2
