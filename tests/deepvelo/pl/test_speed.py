"""Any view of 3,000 or 100,000 cells is built and sent in under a second, a change of gene of 3,000 in an eighth of one."""

import time

import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.embedding import panels, scatter
from deepvelo.pl.phase_portrait import Phase, phase_grid, phase_portrait
from deepvelo.pl.rates import rate_violins
from deepvelo.pl.thinning import drawn_cells

N_CELLS = 3000
GROUPS = [f"group {i % 14}" for i in range(N_CELLS)]
COLORS = theme.group_colors(GROUPS)


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(size=(N_CELLS, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def phase():
    spliced, unspliced, velocity, velocity_u = (
        np.random.default_rng(1).random((4, N_CELLS)).astype(np.float32)
    )
    return Phase(gene="Cpe", spliced=spliced, unspliced=unspliced, velocity=velocity, velocity_u=velocity_u)


def seconds(build) -> float:
    """Processor time, best of three: a busy machine must not fail the test."""
    times = []
    for _ in range(3):
        start = time.process_time()
        build().to_json(validate=False)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
def test_views_of_all_cells(points, phase):
    values = dict.fromkeys("abcdef", phase.spliced)
    rates = dict.fromkeys(("alpha", "beta", "gamma"), phase.spliced)
    assert seconds(lambda: scatter(points, GROUPS, colors=COLORS)) < 1
    assert seconds(lambda: scatter(points, GROUPS, values=phase.spliced)) < 1
    assert seconds(lambda: rate_violins(rates, GROUPS, colors=COLORS)) < 1
    assert seconds(lambda: phase_grid([phase] * 12, GROUPS, colors=COLORS)) < 1
    change_of_gene = seconds(lambda: phase_portrait(phase, GROUPS, colors=COLORS)) + seconds(
        lambda: panels(points, values)
    )
    assert change_of_gene < 0.12  # twenty visitors share one processor


@pytest.mark.slow
def test_a_portrait_stays_small(phase):
    figure = phase_portrait(phase, GROUPS, colors=COLORS)
    assert len(figure.to_json(validate=False)) < 400_000


@pytest.fixture(scope="module")
def many():
    """Embedding, groups, a gene, and the drawn of 100,000 cells."""
    rng = np.random.default_rng(2)
    names = np.array([f"group {i}" for i in range(20)], dtype=object)
    codes = rng.integers(0, 20, 100_000)
    points = (rng.normal(size=(20, 2))[codes] * 5 + rng.normal(size=(100_000, 2))).astype(np.float32)
    spliced, unspliced, velocity, velocity_u = rng.random((4, 100_000)).astype(np.float32)
    gene = Phase(gene="Cpe", spliced=spliced, unspliced=unspliced, velocity=velocity, velocity_u=velocity_u)
    return points, names[codes], gene, drawn_cells(points, names[codes])


@pytest.mark.slow
def test_views_of_very_many_cells(many):
    points, groups, gene, drawn = many
    colors = theme.group_colors(groups)
    rates = dict.fromkeys(("alpha", "beta", "gamma"), gene.spliced)
    values = dict.fromkeys("abcdef", gene.spliced)
    views = {
        lambda: scatter(points, groups, colors=colors, drawn=drawn): 0.6e6,
        lambda: scatter(points, groups, values=gene.spliced, drawn=drawn): 0.6e6,
        lambda: phase_portrait(gene, groups, colors=colors, drawn=drawn): 0.6e6,
        lambda: panels(points, values, drawn=drawn): 3.5e6,
        lambda: rate_violins(rates, groups, colors=colors): 1e6,
    }
    for build, most_bytes in views.items():
        assert seconds(build) < 1
        assert len(build().to_json(validate=False)) < most_bytes
    start = time.process_time()
    drawn_cells(points, groups)
    assert time.process_time() - start < 1
