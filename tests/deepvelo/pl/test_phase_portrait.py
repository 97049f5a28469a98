import dataclasses

import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.phase_portrait import SPLICED_TITLE, UNSPLICED_TITLE, Phase, phase_grid, phase_portrait

N_CELLS = 60
GROUPS = np.array(["b", "a", "c"] * (N_CELLS // 3))
COLORS = {"a": "#111111", "b": "#222222", "c": "#333333"}


@pytest.fixture
def phase():
    rng = np.random.default_rng(0)
    spliced, unspliced = rng.uniform(0, 10, N_CELLS), rng.uniform(0, 2, N_CELLS)
    return Phase(
        gene="Cpe",
        spliced=spliced,
        unspliced=unspliced,
        velocity=np.ones(N_CELLS),
        velocity_u=np.full(N_CELLS, 0.1),
    )


@pytest.fixture
def still(phase):
    """A gene the method gives no velocity for."""
    return dataclasses.replace(phase, velocity=np.full(N_CELLS, np.nan), velocity_u=np.full(N_CELLS, np.nan))


def cells(fig):
    return [trace for trace in fig.data if trace.mode == "markers" and trace.type == "scattergl"]


def arrows(fig):
    return [trace for trace in fig.data if trace.mode == "lines"]


def test_axes_say_what_is_drawn(phase):
    fig = phase_portrait(phase, GROUPS, colors=COLORS)
    assert fig.layout.xaxis.title.text == SPLICED_TITLE
    assert fig.layout.yaxis.title.text == UNSPLICED_TITLE
    assert fig.layout.title.text == "Cpe"


def test_spliced_lies_along_x_in_the_groups_colors(phase):
    fig = phase_portrait(phase, GROUPS, colors=COLORS)
    assert {trace.name: trace.marker.color for trace in cells(fig)} == COLORS
    for trace in cells(fig):
        np.testing.assert_array_equal(trace.x, phase.spliced[trace.customdata].astype(np.float32))
        np.testing.assert_array_equal(trace.y, phase.unspliced[trace.customdata].astype(np.float32))


def test_arrows_start_at_cells_and_point_along_ds_du(phase):
    line = arrows(phase_portrait(phase, GROUPS, colors=COLORS))[-1]
    tails, tips = np.array([line.x, line.y]).T[::6], np.array([line.x, line.y]).T[1::6]
    at = np.stack([phase.spliced, phase.unspliced], axis=1).astype(np.float32)
    assert all(np.isclose(at, tail, atol=1e-5).all(axis=1).any() for tail in tails)
    np.testing.assert_allclose((tips - tails)[:, 1] / (tips - tails)[:, 0], 0.1, rtol=1e-3)


def test_chosen_types_stand_before_the_grey_cloud_in_their_own_window(phase):
    spliced = np.where(GROUPS == "c", phase.spliced / 10, phase.spliced + 5)
    phase = dataclasses.replace(phase, spliced=spliced)
    fig = phase_portrait(phase, GROUPS, colors=COLORS, shown=["c"])
    grey, chosen = cells(fig)
    assert (grey.marker.color, len(grey.x)) == (theme.GREY, 40)
    assert (chosen.name, len(chosen.x)) == ("c", 20)
    assert fig.layout.xaxis.range[1] < 1.2
    starts = arrows(fig)[-1].x[::6]
    assert starts.max() <= 1.0
    wide = phase_portrait(phase, GROUPS, colors=COLORS, shown=["c"], zoom=False)
    assert wide.layout.xaxis.range[1] > 14


def test_no_chosen_type_is_all_grey(phase):
    fig = phase_portrait(phase, GROUPS, colors=COLORS, shown=[])
    assert [trace.marker.color for trace in cells(fig)] == [theme.GREY]
    assert all(len(line.x) == 0 for line in arrows(fig))


def test_a_gene_without_velocity_says_so(still):
    fig = phase_portrait(still, GROUPS, colors=COLORS)
    assert not arrows(fig)
    assert sum(len(trace.x) for trace in cells(fig)) == N_CELLS
    assert [note.text for note in fig.layout.annotations] == ["no velocity for this gene"]


def test_without_du_dt_arrows_are_horizontal_and_nothing_is_denied(phase):
    fig = phase_portrait(dataclasses.replace(phase, velocity_u=None), GROUPS, colors=COLORS)
    line = arrows(fig)[-1]
    tails, tips = np.array([line.x, line.y]).T[::6], np.array([line.x, line.y]).T[1::6]
    assert len(tails) > 5
    assert (tips[:, 0] > tails[:, 0]).all()
    np.testing.assert_array_equal(tips[:, 1], tails[:, 1])
    assert not fig.layout.annotations


def test_a_gene_without_counts_still_has_a_window(phase):
    empty = dataclasses.replace(phase, spliced=np.zeros(N_CELLS), unspliced=np.zeros(N_CELLS))
    low, high = phase_portrait(empty, GROUPS, colors=COLORS).layout.xaxis.range
    assert low < 0 < high


def test_grid_is_one_figure_one_trace_of_cells_a_gene(phase, still):
    fig = phase_grid(
        [phase, still, dataclasses.replace(phase, gene="Actb")], GROUPS, colors=COLORS, columns=2
    )
    assert len(cells(fig)) == 3
    assert all(len(trace.x) == N_CELLS for trace in cells(fig))
    titles = [note.text for note in fig.layout.annotations]
    assert titles == ["Cpe", "Cpe", "Actb", "no velocity for this gene"]
    assert {trace.name for trace in fig.data if trace.showlegend is not False and trace.name} == set(COLORS)


def test_grid_colors_cells_as_the_single_picture_does(phase):
    trace = cells(phase_grid([phase], GROUPS, colors=COLORS))[0]
    scale = trace.marker.colorscale
    for name, color in COLORS.items():
        code = trace.marker.color[GROUPS == name][0]
        place = (code - trace.marker.cmin) / (trace.marker.cmax - trace.marker.cmin)
        assert [c for edge, c in scale if edge <= place][-1] == color


def test_grid_with_chosen_types(phase):
    fig = phase_grid([phase], GROUPS, colors=COLORS, shown=["a"])
    grey, chosen = cells(fig)
    assert (len(grey.x), len(chosen.x)) == (40, 20)
    assert [trace.name for trace in fig.data if trace.type == "scatter"] == ["a"]


def test_of_many_cells_only_the_chosen_are_drawn_and_window_and_arrows_stay():
    rng = np.random.default_rng(0)
    spliced, unspliced, velocity, velocity_u = rng.random((4, 300)).astype(np.float32)
    phase = Phase(gene="g", spliced=spliced, unspliced=unspliced, velocity=velocity, velocity_u=velocity_u)
    groups, some = np.resize(["a", "b", "c"], 300), np.arange(0, 300, 7)
    colors = {"a": "#111111", "b": "#222222", "c": "#333333"}
    for draw in (phase_portrait, lambda phase, *args, **options: phase_grid([phase], *args, **options)):
        full = draw(phase, groups, colors=colors, shown=["a", "b"])
        thinned = draw(phase, groups, colors=colors, shown=["a", "b"], drawn=some)
        cells = [trace for trace in thinned.data if trace.customdata is not None]
        assert sorted(np.concatenate([trace.customdata for trace in cells])) == some.tolist()
        assert thinned.layout.xaxis.range == full.layout.xaxis.range
        for a, b in zip(
            [t for t in full.data if t.mode == "lines"],
            [t for t in thinned.data if t.mode == "lines"],
            strict=True,
        ):
            np.testing.assert_array_equal(a.x, b.x)


def test_arrows_of_undecided_cells_are_faded(phase):
    undecided = phase.spliced < 5
    marked = dataclasses.replace(phase, undecided=undecided)
    for fig in (phase_portrait(marked, GROUPS, colors=COLORS), phase_grid([marked], GROUPS, colors=COLORS)):
        below, _, ink = arrows(fig)
        assert below.line.color == theme.faded_ink(dark=False)
        assert (below.x[::6] < 5).all()
        assert (ink.x[::6] >= 5).all()
