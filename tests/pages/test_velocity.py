from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.io import checksums
from deepvelo.io.run import RESULT
from deepvelo.pl import theme
from deepvelo.pl.arrows import LINE_WIDTH
from tests.on_page import figures
from tests.stored import undecide

PAGE = Path(__file__).resolve().parents[2] / "pages" / "velocity.py"


@pytest.fixture
def app(shared_run) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = shared_run
    return app


def figure(app: AppTest) -> dict:
    assert not app.exception
    assert not app.error
    return figures(app)[0]


def cells(app: AppTest) -> list[dict]:
    return [trace for trace in figure(app)["data"] if trace["mode"] == "markers"]


def lines(app: AppTest) -> list[dict]:
    return [trace for trace in figure(app)["data"] if trace["mode"] == "lines"]


def choose(app: AppTest, label: str, option: str) -> AppTest:
    return next(box for box in app.selectbox if box.label == label).select(option).run()


def test_without_a_run_one_sentence_and_a_button(server):
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    assert len(app.info) == 1
    assert [button.label for button in app.button] == ["Choose data"]


def test_first_sight_is_a_stream_over_the_data_sets_own_colors(app):
    app.run()
    assert {trace["name"]: trace["marker"]["color"] for trace in cells(app)} == {
        "Granule": "#3ba458", "Neuroblast": "#404040", "OPC": "#d94801",
    }  # fmt: skip
    assert any(line["line"]["width"] == LINE_WIDTH for line in lines(app))
    assert "not speed" in app.caption[0].value


@pytest.mark.parametrize("kind", ["Grid arrows", "Cell arrows"])
def test_other_arrows(app, kind):
    choose(app.run(), "Show", kind)
    assert len(lines(app)) == 2  # ink on its halo


def test_no_arrows(app):
    choose(app.run(), "Show", "No arrows")
    assert not lines(app)
    assert not app.slider


def test_velocity_of_a_gene_is_centred_and_named_with_its_unit(app):
    choose(app.run(), "Colour by", "gene_velocity")
    choose(app, "Gene", "Cpe")
    marker = cells(app)[0]["marker"]
    assert marker["cmin"] == -marker["cmax"]
    assert marker["colorbar"]["title"]["text"] == "Cpe, velocity ds/dt, normalised counts per unit time"
    assert (app.query_params["gene"], app.query_params["color"]) == ("Cpe", "gene_velocity")


def test_the_url_reopens_gene_and_color(app):
    app.query_params.update(gene="Sox2", color="gene")
    app.run()
    assert "Sox2, spliced" in cells(app)[0]["marker"]["colorbar"]["title"]["text"]


def test_consistency_is_explained(app):
    choose(app.run(), "Colour by", "velocity_consistency")
    assert "mean cosine" in cells(app)[0]["marker"]["colorbar"]["title"]["text"]
    assert "smoothness, not correctness" in app.caption[0].value


def test_confidence_is_explained(app):
    choose(app.run(), "Colour by", "direction_confidence")
    marker = cells(app)[0]["marker"]
    assert marker["colorbar"]["title"]["text"] == "probability that the direction is correct"
    assert (marker["cmin"], marker["cmax"]) == (0.5, 1)
    assert "0.5 is a coin flip" in app.caption[0].value


def test_confidence_of_an_earlier_version_is_no_probability(server, saved_run):
    del cached.open_run(saved_run).obs["direction_undecided"]
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    choose(app.run(), "Colour by", "direction_confidence")
    marker = cells(app)[0]["marker"]
    assert marker["colorbar"]["title"]["text"] == "confidence in direction"
    assert marker["cmin"] < 0.5
    assert "is not a probability" in app.caption[0].value


@pytest.mark.parametrize("kind", ["Stream", "Grid arrows", "Cell arrows"])
def test_arrows_of_undecided_cells_are_faded_and_said(server, saved_run, kind):
    undecide(server / "runs" / saved_run, 0.5)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    choose(app.run(), "Show", kind)
    colors = {line["line"]["color"] for line in lines(app)}
    assert colors == {theme.faded_ink(dark=False), theme.ink(dark=False), theme.halo(dark=False)}
    assert "50% of the cells, whose direction the data do not decide." in app.caption[0].value
    choose(app, "Show", "No arrows")
    assert "Faded" not in app.caption[0].value


def test_where_all_are_undecided_every_arrow_is_faded(server, saved_run):
    undecide(server / "runs" / saved_run, 1)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    app.run()
    assert {line["line"]["color"] for line in lines(app)} == {theme.faded_ink(dark=False)}
    assert "all cells" in app.caption[0].value


def test_undecided_cells_are_a_color(server, saved_run):
    undecide(server / "runs" / saved_run, 0.25)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    choose(app.run(), "Colour by", "direction_undecided")
    assert [trace["name"] for trace in cells(app)] == ["decided", "undecided"]
    assert "too few cells" in app.caption[0].value


def test_embeddings_of_rates_are_left_to_their_page(app):
    app.run()
    assert next(box for box in app.selectbox if box.label == "Embedding").options == ["UMAP", "PCA"]


def test_an_embedding_without_arrows_or_graph_says_what_to_do(app):
    choose(app.run(), "Embedding", "pca")
    assert not app.exception
    assert "Choose 'umap' instead" in app.error[0].value
    choose(app, "Show", "No arrows")
    assert figure(app)["layout"]["xaxis"]["title"]["text"] == "PC 1"


@pytest.mark.parametrize("kind", ["Stream", "Cell arrows"])
def test_cells_without_coordinates_are_not_drawn_and_the_others_have_arrows(server, saved_run, kind):
    stored = zarr.open_group(server / "runs" / saved_run / RESULT)["obsm"]
    for key in ("X_umap", "velocity_umap"):
        stored[key][:3] = np.nan
    checksums.write_checksums(server / "runs" / saved_run)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    choose(app.run(), "Show", kind)
    assert cells(app)
    assert lines(app)
    assert all(np.isfinite(line["x"]).any() for line in lines(app))


def test_cells_at_one_point_are_said(server, saved_run):
    stored = zarr.open_group(server / "runs" / saved_run / RESULT)["obsm"]
    stored["X_umap"][:] = 1
    checksums.write_checksums(server / "runs" / saved_run)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["run"] = saved_run
    for kind in ("Stream", "Grid arrows", "Cell arrows"):
        choose(app.run(), "Show", kind)
        assert cells(app)
        assert "All cells lie at one point" in app.caption[0].value
