import numpy as np
import pandas as pd
import pytest

from deepvelo.pl.volcano import HIGHER, LOWER, volcano

TABLE = pd.DataFrame(
    {
        "gene": ["Up", "Down", "<b>Flat</b>", "Unknown"],
        "effect": [2.0, -1.5, 0.1, np.nan],
        "p": [1e-8, 1e-5, 0.5, np.nan],
        "q": [4e-8, 2e-5, 0.5, np.nan],
    }
)


def points(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def test_significant_genes_are_coloured_by_their_direction():
    traces = points(volcano(TABLE))
    assert traces["higher"].x.tolist() == [2.0]
    assert traces["higher"].y.tolist() == pytest.approx([8])
    assert traces["higher"].marker.color == HIGHER
    assert traces["lower"].x.tolist() == [-1.5]
    assert traces["lower"].marker.color == LOWER
    assert len(traces["not significant"].x) == 1  # the gene without p is left out


def test_a_click_tells_the_gene_and_hover_shows_its_name_as_text():
    row = points(volcano(TABLE))["not significant"].customdata[0]
    assert row[2] == "<b>Flat</b>"
    assert "<b>" not in row[0]


def test_names_are_of_significant_and_marked_genes():
    figure = volcano(TABLE, marked=["<b>Flat</b>"], n_labels=1)
    texts = next(trace.text for trace in figure.data if trace.mode == "text")
    assert texts[0] == "Up"
    assert len(texts) == 2
    assert figure.data[-1].x.tolist() == [0.1]  # the ring


def test_p_of_zero_is_drawn_at_the_smallest_number():
    assert volcano(TABLE.assign(p=[0.0, 1e-5, 0.5, np.nan])).data[1].y.tolist() == pytest.approx([300])


def test_no_gene_leaves_an_empty_figure():
    figure = volcano(TABLE.iloc[:0])
    assert all(len(trace.x) == 0 for trace in figure.data)
