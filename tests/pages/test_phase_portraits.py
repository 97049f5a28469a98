from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.gene_picker import SEARCH
from app.shared.phase_charts import arrows_in_words
from deepvelo import config
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.pl.phase_portrait import SPLICED_TITLE, UNSPLICED_TITLE
from tests.on_page import figures
from tests.stored import undecide

N_CELLS = 40


@pytest.fixture
def app(opened) -> AppTest:
    return opened("phase_portraits")


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
    app.selectbox(key=SEARCH).select("Cpe").run()
    portrait, tissue = figures(app)
    assert portrait["layout"]["title"]["text"] == "Cpe"
    spliced, before_spliced = (panels["data"][0]["marker"]["color"] for panels in (tissue, before[1]))
    assert not np.array_equal(spliced, before_spliced)
    assert app.query_params["gene"] == "Cpe"


def test_table_is_sorted_by_score_and_marks_the_gene(app):
    app.run()
    table = app.dataframe[0].value
    assert table["Score"].is_monotonic_decreasing
    assert len(table) == 6


def test_chosen_types_before_the_grey_cloud(app):
    app.run()
    app.multiselect(key="phase.types").select("OPC").run()
    portrait = figures(app)[0]
    grey, chosen, *_ = portrait["data"]
    assert grey["marker"]["color"] == theme.GREY
    assert (chosen["name"], chosen["marker"]["color"]) == ("OPC", "#d94801")


def test_several_genes_are_one_figure(app):
    app.run()
    app.segmented_control(key="phase.mode").select("Several").run()
    (grid,) = figures(app)
    assert (
        len([trace for trace in grid["data"] if trace["mode"] == "markers" and trace["type"] == "scattergl"])
        == 4
    )
    next(box for box in app.multiselect if box.label == "Genes").set_value([]).run()
    assert not app.exception
    assert "Choose up to 12 genes" in app.info[0].value


def several(app: AppTest) -> list[str]:
    """The genes in the box, after a press on Several."""
    app.segmented_control(key="phase.mode").select("Several").run()
    assert not app.exception
    return genes_box(app).value


def genes_box(app: AppTest):
    return next(box for box in app.multiselect if box.label == "Genes")


def last_ranked(app: AppTest) -> str:
    """The gene that comes last by score: not among the four that are shown before any is chosen."""
    return app.dataframe[0].value["Gene"].iloc[-1]


def test_the_gene_looked_at_is_the_first_of_several(app):
    last = last_ranked(app.run())
    app.selectbox(key=SEARCH).select(last).run()
    genes = several(app)
    assert (genes[0], len(genes), len(set(genes))) == (last, 4, 4)
    assert figures(app)[0]["layout"]["annotations"][0]["text"] == last


def test_a_gene_that_was_taken_out_of_several_stays_out_until_it_is_looked_at_again(app):
    app.run()
    first, *others = several(app)
    genes_box(app).set_value(others).run()
    assert genes_box(app).value == others
    app.segmented_control(key="phase.mode").select("One gene").run()
    assert several(app) == [first, *others]


def test_a_gene_chosen_elsewhere_comes_first_in_several(app):
    last = last_ranked(app.run())
    before = several(app)
    app.session_state["gene"] = last
    app.run()
    assert genes_box(app).value == [last, *before]


@pytest.mark.slow
def test_several_genes_after_a_change_of_run_are_those_it_has(app, shared_server, made_up_run):
    app.run()
    app.segmented_control(key="phase.mode").select("Several").run()
    genes = next(box for box in app.multiselect if box.label == "Genes")
    genes.set_value(["Cpe", "Actb"]).run()
    store = shared_server / "runs"
    runs = [made_up_run(store, genes=genes) for genes in (("Cpe", "Sox2"), ("Gfap", "Mbp", "Plp1"))]
    for run, expected in zip(runs, ({"Cpe"}, {"Gfap", "Mbp", "Plp1"}), strict=True):
        app.session_state["run"] = run
        (grid,) = figures(app.run())
        assert {note["text"] for note in grid["layout"]["annotations"]} == expected


def test_the_caption_says_what_was_averaged(app):
    app.run()
    caption = next(caption.value for caption in app.caption if "Each point is a cell" in caption.value)
    assert "averaged twice over graph neighbours" in caption
    assert "up means more unspliced" in caption


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"smooth_velocity": 1}, "fitted velocities, averaged once"),
        ({"smooth_velocity": 0}, "fitted to moments averaged once"),
        ({"smooth_velocity": 0, "smooth_inputs": 0}, r"\(du/dt\)\.$"),
    ],
)
def test_arrows_are_described_as_this_run_made_them(shared_run, graph, expected):
    run = cached.open_run(shared_run)
    settings = config.replace(run.info.settings, {"graph": graph})
    made_so = Run(run.folder, dataclasses.replace(run.info, settings=settings))
    assert re.search(expected, arrows_in_words(made_so))


def test_a_run_without_du_dt_has_horizontal_arrows_and_no_alpha(app, shared_server, made_up_run):
    app.query_params["run"] = made_up_run(shared_server / "runs", unspliced_velocity=False)
    portrait, tissue = figures(app.run())
    assert "annotations" not in portrait["layout"]
    assert any(trace["mode"] == "lines" for trace in portrait["data"])
    assert [note["text"] for note in tissue["layout"]["annotations"]] == [
        "spliced", "unspliced", "velocity ds/dt", "β, splicing", "γ, degradation",
    ]  # fmt: skip
    captions = " ".join(caption.value for caption in app.caption)
    assert "This run has no α and no du/dt" in captions


def test_a_run_deleted_while_it_is_looked_at_is_one_sentence(app, saved_run):
    from app.shared import cached

    figures(app.run())
    cached.store().delete(saved_run)
    app.selectbox(key=SEARCH).select("Cpe").run()
    assert not app.exception
    assert [error.value for error in app.error] == ["This run was deleted. Choose another."]
    assert not app.get("bidi_component")


def test_arrows_of_undecided_cells_are_faded_and_said(server, saved_run, app):
    undecide(server / "runs" / saved_run, 0.5)
    portrait = figures(app.run())[0]
    colors = [trace["line"]["color"] for trace in portrait["data"] if trace["mode"] == "lines"]
    assert theme.faded_ink(dark=False) in colors
    assert "50% of the cells, whose direction the data do not decide." in app.caption[-1].value
