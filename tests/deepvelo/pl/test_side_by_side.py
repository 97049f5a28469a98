import dataclasses

import numpy as np
import pytest

from deepvelo.pl.phase_portrait import Phase
from deepvelo.pl.side_by_side import INDUCTION, LINE, REPRESSION, Panel, side_by_side

N_CELLS = 40
GROUPS = np.array(["a", "b"] * (N_CELLS // 2))
COLORS = {"a": "#111111", "b": "#222222"}


@pytest.fixture
def phase():
    rng = np.random.default_rng(0)
    return Phase(
        gene="Cpe",
        spliced=rng.uniform(0, 10, N_CELLS),
        unspliced=rng.uniform(0, 2, N_CELLS),
        velocity=np.ones(N_CELLS),
        velocity_u=None,
    )


def panels(phase, n):
    return [Panel(title=f"method {i}", phase=phase) for i in range(n)]


def fits(fig):
    return [trace for trace in fig.data if trace.name in (LINE, INDUCTION, REPRESSION)]


def notes(fig):
    return [note.text for note in fig.layout.annotations]


def test_one_panel_a_method_in_one_figure(phase):
    (fig,) = side_by_side(panels(phase, 4), GROUPS, colors=COLORS)
    assert notes(fig) == [f"method {i}" for i in range(4)]
    cells = [trace for trace in fig.data if trace.type == "scattergl" and trace.mode == "markers"]
    assert [len(trace.x) for trace in cells] == [N_CELLS] * 4


@pytest.mark.parametrize(("n", "rows"), [(1, [1]), (4, [4]), (5, [3, 2]), (8, [4, 4]), (9, [3, 3, 3])])
def test_more_methods_make_even_rows(phase, n, rows):
    figures = side_by_side(panels(phase, n), GROUPS, colors=COLORS)
    assert [len(notes(fig)) for fig in figures] == rows


def test_axes_are_the_same_also_where_moments_differ(phase):
    wide = dataclasses.replace(phase, spliced=3 * phase.spliced)
    figures = side_by_side([*panels(phase, 4), Panel(title="other", phase=wide)], GROUPS, colors=COLORS)
    ranges = {axis.range for fig in figures for axis in fig.select_xaxes()}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert low < phase.spliced.min()
    assert high > wide.spliced.max()


def test_zoom_is_the_window_around_the_shown_groups(phase):
    near = dataclasses.replace(phase, spliced=np.where(GROUPS == "b", phase.spliced / 10, phase.spliced + 5))
    (fig,) = side_by_side(panels(near, 2), GROUPS, colors=COLORS, shown=["b"])
    assert all(axis.range[1] < 1.2 for axis in fig.select_xaxes())


def test_line_and_curve_lie_in_their_panel_between_cells_and_arrows(phase):
    induction = np.array([[0.0, 0], [5, 1]])
    fitted = Panel(
        title="fitted", phase=phase, line=(0.2, 0.1), induction=induction, repression=induction[::-1]
    )
    (fig,) = side_by_side([*panels(phase, 1), fitted], GROUPS, colors=COLORS)
    assert {trace.xaxis for trace in fits(fig)} == {"x2"}
    line = next(trace for trace in fits(fig) if trace.name == LINE)
    np.testing.assert_allclose(line.y, 0.2 * np.array(line.x) + 0.1, rtol=1e-6)
    assert line.x[-1] == pytest.approx(fig.layout.xaxis2.range[1])
    on = [trace for trace in fits(fig) if trace.name == INDUCTION][-1]
    np.testing.assert_array_equal(np.column_stack([on.x, on.y]), induction)
    order = [("fit" if trace in fits(fig) else trace.mode) for trace in fig.data if trace.type == "scattergl"]
    assert order == sorted(order, key=["markers", "fit", "lines"].index)


def test_every_fit_is_named_once_in_the_legend(phase):
    lined = [dataclasses.replace(panel, line=(0.2, 0.0)) for panel in panels(phase, 3)]
    (fig,) = side_by_side(lined, GROUPS, colors=COLORS)
    assert sum(trace.showlegend for trace in fits(fig)) == 1


def test_a_method_without_velocity_says_so_and_keeps_its_line(phase):
    still = dataclasses.replace(phase, velocity=np.full(N_CELLS, np.nan))
    (fig,) = side_by_side(
        [*panels(phase, 1), Panel(title="still", phase=still, line=(0.2, 0.0))], GROUPS, colors=COLORS
    )
    (note,) = [note for note in fig.layout.annotations if note.text == "no velocity for this gene"]
    assert note.xref == "x2"
    assert len(fits(fig)) == 2  # ink and halo


def test_no_repression_draws_no_empty_line(phase):
    panel = Panel(title="a", phase=phase, induction=np.array([[0.0, 0], [5, 1]]), repression=np.zeros((0, 2)))
    (fig,) = side_by_side([panel], GROUPS, colors=COLORS)
    assert {trace.name for trace in fits(fig)} == {INDUCTION}
