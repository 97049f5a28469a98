from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.io import checksums
from deepvelo.io.run import RESULT
from deepvelo.pl import theme
from deepvelo.pl.arrows import LINE_WIDTH
from deepvelo.tl.graph.arrows import projected
from tests.on_page import figures, gesture, selected, words
from tests.stored import add_elements, undecide

PAGE = Path(__file__).resolve().parents[2] / "pages" / "velocity.py"
GRAPH = sparse.random(40, 40, density=0.3, format="csr", random_state=0)
NEGATIVE = sparse.csr_matrix(-0.1 * GRAPH.T)


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
    assert "no velocity graph, which arrows on PC 1 and PC 2 need" in app.error[0].value
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


def visit(run_id: str, **values: object) -> AppTest:
    """The page at an address."""
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in {"run": run_id, **values}.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture
def with_graph(server, saved_run) -> str:
    """A run with a velocity graph and four principal components."""
    add_elements(
        server / "runs" / saved_run, uns__velocity_graph=GRAPH, uns__velocity_graph_neg=NEGATIVE,
        obsm__X_pca=np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32),
    )  # fmt: skip
    return saved_run


def test_axes_are_offered_where_a_map_has_more_than_two(with_graph):
    app = visit(with_graph)
    assert not app.multiselect
    choose(app, "Embedding", "pca")
    (axes,) = app.multiselect
    assert axes.options[:3] == ["PC 1", "PC 2", "PC 3"]
    assert figure(app)["layout"]["xaxis"]["title"]["text"] == "PC 1"
    axes.set_value(["2", "0"]).run()
    assert [figure(app)["layout"][f"{letter}axis"]["title"]["text"] for letter in "xy"] == ["PC 3", "PC 1"]
    assert app.query_params["axes"] == ["2", "0"]


def test_arrows_on_chosen_axes_are_the_graphs(with_graph):
    app = visit(with_graph, embedding="pca", axes=["2", "0"])
    points = cached.open_run(with_graph).obsm["X_pca"][:, [2, 0]].astype(np.float64)
    expected = projected(GRAPH, NEGATIVE, points)
    np.testing.assert_allclose(cached.velocity_on(with_graph, "pca", (2, 0)), expected)
    assert lines(app)


def test_fewer_than_two_axes_show_the_first_two(with_graph):
    app = visit(with_graph, embedding="pca", axes=["2"])
    assert figure(app)["layout"]["xaxis"]["title"]["text"] == "PC 1"
    assert "Choose two or three axes" in words(app)


def test_three_axes_are_a_space_with_arrows_of_cells(with_graph):
    app = visit(with_graph, embedding="pca", axes=["0", "1", "2"])
    drawn = figure(app)
    assert {trace["type"] for trace in drawn["data"]} == {"scatter3d", "cone"}
    assert drawn["layout"]["scene"]["zaxis"]["title"]["text"] == "PC 3"
    assert sum(len(trace["x"]) for trace in drawn["data"] if "customdata" in trace) == 40
    shown = next(box for box in app.selectbox if box.label == "Show")
    assert shown.options == ["Cell arrows", "No arrows"]
    assert "Split by" not in [box.label for box in app.selectbox]
    assert "Drag to turn" in words(app)
    shown.select("No arrows").run()
    assert {trace["type"] for trace in figure(app)["data"]} == {"scatter3d"}


def test_spatial_coordinates_point_down(server, saved_run):
    spatial = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    add_elements(server / "runs" / saved_run, obsm__spatial=spatial)
    app = visit(saved_run, embedding="spatial", arrows="No arrows")
    layout = figure(app)["layout"]
    assert layout["yaxis"]["autorange"] == "reversed"
    assert layout["xaxis"]["title"]["text"] == "Spatial 1"
    assert "y downwards" in words(app)
    assert "a cell at its place in the tissue" in words(app)


@pytest.fixture
def two_conditions(saved_run) -> str:
    """A run whose first 34 cells are of one condition and the other six of another."""
    cached.open_run(saved_run).obs["condition"] = pd.Categorical(["control"] * 34 + ["treated"] * 6)
    return saved_run


def test_a_map_is_split_by_condition_into_panels_that_zoom_together(two_conditions):
    app = visit(two_conditions, split="condition")
    layout = figure(app)["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["control<br>34 cells", "treated<br>6 cells"]
    assert layout["xaxis2"]["matches"] == "x"
    for axis, rows in (("x", range(34)), ("x2", range(34, 40))):
        own = [
            trace["customdata"] for trace in cells(app) if trace["xaxis"] == axis and "customdata" in trace
        ]
        assert sorted(np.concatenate(own)) == list(rows)
    choose(app, "Split by", "")
    assert "xaxis2" not in figure(app)["layout"]
    assert "split" not in app.query_params


@pytest.mark.parametrize("kind", ["Stream", "Grid arrows", "Cell arrows"])
def test_a_panel_has_arrows_of_its_own_cells_if_it_has_enough(two_conditions, kind):
    app = visit(two_conditions, split="condition", arrows=kind)
    assert {line["xaxis"] for line in lines(app)} == {"x"}
    assert "Fewer than 30 cells, so no arrows: treated." in words(app)


def test_an_outline_in_a_panel_selects_the_cells_of_the_panel(two_conditions):
    app = visit(two_conditions, split="condition")
    around = {"how": "new", "box": [[-1e3, 1e3], [-1e3, 1e3]]}
    assert selected(gesture(app, 0, around | {"axes": ["x2", "y2"]})) == list(range(34, 40))
    assert selected(gesture(app, 0, around | {"axes": ["x", "y"]})) == list(range(34))


def test_columns_with_one_group_or_more_than_six_split_no_map(saved_run):
    obs = cached.open_run(saved_run).obs
    obs["one"], obs["seven"] = pd.Categorical(["a"] * 40), pd.Categorical([f"g{i % 7}" for i in range(40)])
    obs["six"] = pd.Categorical([f"g{i % 6}" for i in range(40)])
    box = next(box for box in visit(saved_run).selectbox if box.label == "Split by")
    assert {"six", "clusters"} <= {*box.options}
    assert not {"one", "seven"} & {*box.options}
