from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deepvelo.pl import theme
from deepvelo.pl.phase_portrait import SPLICED_TITLE, UNSPLICED_TITLE

PAGE = Path(__file__).resolve().parents[2] / "pages" / "phase_portraits.py"
N_CELLS = 40


@pytest.fixture
def app(saved_run) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params.update(run=saved_run, gene="Tmsb10")
    return app


def figures(app: AppTest) -> list[dict]:
    assert not app.exception
    assert not app.error
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def test_without_a_run_one_sentence_and_a_button(server):
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    assert len(app.info) == 1
    assert [button.label for button in app.button] == ["Choose data"]


def test_portrait_and_the_gene_on_the_embedding(app):
    portrait, tissue = figures(app.run())
    assert portrait["layout"]["title"]["text"] == "Tmsb10"
    assert portrait["layout"]["xaxis"]["title"]["text"] == SPLICED_TITLE
    assert portrait["layout"]["yaxis"]["title"]["text"] == UNSPLICED_TITLE
    names = {trace["name"] for trace in portrait["data"] if trace["mode"] == "markers"}
    assert names == {"Granule", "Neuroblast", "OPC"}
    panels = [note["text"] for note in tissue["layout"]["annotations"]]
    assert panels == [
        "spliced",
        "unspliced",
        "velocity ds/dt",
        "α, transcription",
        "β, splicing",
        "γ, degradation",
    ]


def test_another_gene_redraws_both_and_goes_into_the_url(app):
    before = figures(app.run())
    app.selectbox[0].select("Cpe").run()
    portrait, tissue = figures(app)
    assert portrait["layout"]["title"]["text"] == "Cpe"
    assert tissue["data"] != before[1]["data"]
    assert app.query_params["gene"] == "Cpe"


def test_table_is_sorted_by_score_and_marks_the_gene(app):
    app.run()
    table = app.dataframe[0].value
    assert table["Score"].is_monotonic_decreasing
    assert len(table) == 6


def test_chosen_types_before_the_grey_cloud(app):
    app.run()
    app.multiselect[0].select("OPC").run()
    portrait = figures(app)[0]
    grey, chosen, *_ = portrait["data"]
    assert grey["marker"]["color"] == theme.GREY
    assert (chosen["name"], chosen["marker"]["color"]) == ("OPC", "#d94801")


def test_several_genes_are_one_figure(app):
    app.run()
    app.segmented_control[0].select("Several").run()
    (grid,) = figures(app)
    assert (
        len([trace for trace in grid["data"] if trace["mode"] == "markers" and trace["type"] == "scattergl"])
        == 4
    )
    next(box for box in app.multiselect if box.label == "Genes").set_value([]).run()
    assert not app.exception
    assert "Choose up to 12 genes" in app.info[0].value
