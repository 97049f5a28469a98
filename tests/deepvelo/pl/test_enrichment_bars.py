import numpy as np
import pandas as pd
import pytest

from deepvelo.pl.enrichment_bars import OTHER, RELEVANT, enrichment_bars

LONG = "GOBP_POSITIVE_REGULATION_OF_TRANSCRIPTION_FROM_RNA_POLYMERASE_II_PROMOTER_IN_"
TABLE = pd.DataFrame(
    {
        "term": [LONG + "GLIA", "Axon guidance", LONG + "NEURONS"],
        "overlap": [4, 9, 2],
        "size": [40, 90, 20],
        "q": [1e-3, 1e-6, 0.5],
        "genes": ["A;B;C;D", "A;B", "C"],
    }
)


def test_bars_are_by_q_with_their_counts():
    (bars,) = enrichment_bars(TABLE).data
    assert bars.x.tolist() == pytest.approx([6, 3, -np.log10(0.5)])
    assert list(bars.y) == [0, 1, 2]
    assert list(bars.text) == ["9 of 90", "4 of 40", "2 of 20"]


def test_relevant_sets_have_a_colour_of_their_own():
    fig = enrichment_bars(TABLE, relevant=[False, True, False])
    colors = {trace.name: (trace.marker.color, list(trace.y)) for trace in fig.data}
    assert colors == {"relevant": (RELEVANT, [0]), "not relevant": (OTHER, [1, 2])}
    assert fig.layout.showlegend
    assert not enrichment_bars(TABLE).layout.showlegend


def test_long_names_are_shortened_but_stay_two_bars_and_are_whole_on_hover():
    fig = enrichment_bars(TABLE)
    names = fig.layout.yaxis.ticktext
    assert names[1] == names[2]
    assert names[1].endswith("…")
    assert len(names[1]) < 50
    assert [row[0] for row in fig.data[0].customdata] == ["Axon guidance", LONG + "GLIA", LONG + "NEURONS"]
    assert fig.data[0].customdata[1][3] == "A, B, C, D"


def test_a_q_too_small_for_a_number_is_said_to_be_so():
    fig = enrichment_bars(TABLE.assign(q=[0.0, 1e-6, 0.5]))
    assert fig.data[0].x[0] == pytest.approx(300)
    assert fig.data[0].text[0] == "4 of 40, q < 1e-300"
    assert np.isfinite(fig.data[0].x).all()


def test_only_the_top_is_drawn():
    assert list(enrichment_bars(TABLE, top=1).data[0].text) == ["9 of 90"]


def test_no_set_says_so():
    fig = enrichment_bars(TABLE.iloc[:0])
    assert "no gene set" in fig.layout.annotations[0].text
