import numpy as np
import pandas as pd

from deepvelo.pl.driver_heatmap import ROW_HEIGHT, driver_heatmap

TABLE = pd.DataFrame(
    {0.0: [1.0, 9, 5, 2, 0], 0.5: [2, 4, 5, 2, 4], 1.0: [3, 1, 5, 8, 8]},
    index=["late", "early", "flat", "later", "rising"],
)


def test_genes_are_in_the_order_of_their_peaks_the_first_on_top():
    fig = driver_heatmap(TABLE)
    # of those that peak last: 'late' and 'rising' are half up at 0.5, 'later' only at 1
    assert fig.layout.yaxis.ticktext == ("early", "flat", "late", "rising", "later")
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]


def test_every_gene_is_scaled_by_itself_and_one_that_never_changes_is_0():
    z = dict(zip(driver_heatmap(TABLE).layout.yaxis.ticktext, driver_heatmap(TABLE).data[0].z, strict=True))
    assert z["late"].tolist() == [0, 0.5, 1]
    assert z["early"].tolist() == [1, 0.375, 0]
    assert z["flat"].tolist() == [0, 0, 0]


def test_a_click_gives_the_gene_and_hovering_its_value():
    fig = driver_heatmap(TABLE)
    points = fig.data[1]
    genes = fig.layout.yaxis.ticktext
    assert all(genes[int(y)] == gene for y, gene in zip(points.y, points.customdata, strict=True))
    shown = {
        (gene, x): value for gene, x, value in zip(points.customdata, points.x, points.text, strict=True)
    }
    assert shown["early", 0.5] == 4
    assert points.marker.opacity == points.unselected.marker.opacity == 0


def test_names_of_50_genes_have_room():
    table = pd.DataFrame(
        np.random.default_rng(0).uniform(size=(50, 40)), index=[f"Gene{i}" for i in range(50)]
    )
    fig = driver_heatmap(table)
    assert len(fig.layout.yaxis.ticktext) == 50
    assert fig.layout.height >= 50 * ROW_HEIGHT
    assert fig.layout.yaxis.tickfont.size < ROW_HEIGHT


def test_genes_without_values_are_left_out():
    fig = driver_heatmap(
        TABLE.assign(**{"0.5": 0}).drop(columns="0.5").where(TABLE.index.to_series().ne("late"), np.nan)
    )
    assert "late" not in fig.layout.yaxis.ticktext
    empty = driver_heatmap(pd.DataFrame(index=["a", "b"]))
    assert "no gene" in empty.layout.annotations[0].text
