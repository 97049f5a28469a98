from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.on_page import figures


@pytest.fixture
def app(opened) -> AppTest:
    return opened("kinetic_rates")


def test_umap_of_rates_and_violins(app):
    umap, violins = figures(app.run())
    assert umap["layout"]["xaxis"]["title"]["text"] == "Rates UMAP 1"
    assert {trace["name"] for trace in umap["data"]} == {"Granule", "Neuroblast", "OPC"}
    assert len([trace for trace in violins["data"] if trace["type"] == "violin"]) == 9


def test_umap_of_one_rate_has_other_places(app):
    both = figures(app.run())[0]
    app.segmented_control(key="rates.space").select("γ").run()
    one = figures(app)[0]
    assert one["layout"]["xaxis"]["title"]["text"] == "γ UMAP 1"
    assert not np.array_equal(one["data"][0]["x"], both["data"][0]["x"])


def test_names_on_the_cells_or_in_a_legend(app):
    layout = figures(app.run())[0]["layout"]
    assert {note["text"] for note in layout["annotations"]} == {"Granule", "Neuroblast", "OPC"}
    assert layout["showlegend"] is False
    app.toggle(key="rates.names").set_value(False).run()
    layout = figures(app)[0]["layout"]
    assert "annotations" not in layout
    assert layout["showlegend"] is True


def test_a_genes_rate_as_color(app):
    app.query_params["color"] = "gene_beta"
    umap = figures(app.run())[0]
    assert umap["data"][0]["marker"]["colorbar"]["title"]["text"] == "Tmsb10, β, per unit time"


def test_match_with_the_cell_types_in_numbers_and_words(app):
    app.run()
    assert {metric.label: metric.value for metric in app.metric} == {
        "Silhouette": "0.10", "Adjusted Rand index": "0.20",
    }  # fmt: skip
    assert any("as by chance" in caption.value for caption in app.caption)
    assert any("relative" in caption.value for caption in app.caption)
    assert not app.warning


def test_unconstrained_rates_are_called_so(app, server, saved_run):
    info = server / "runs" / saved_run / "info.json"
    values = json.loads(info.read_text())
    values["settings"]["preset"] = "published"
    info.write_text(json.dumps(values))
    app.run()
    assert not app.exception
    assert "may be negative" in app.warning[0].value


def test_a_run_without_alpha_leaves_it_out_and_says_how_to_get_it(app, shared_server, made_up_run):
    app.run()
    app.segmented_control(key="rates.space").select("α").run()
    app.session_state["run"] = made_up_run(shared_server / "runs", unspliced_velocity=False)
    app.session_state["color"] = "gene_alpha"
    _, violins = figures(app.run())
    assert app.segmented_control(key="rates.space").options == ["All rates", "β", "γ"]
    assert len([trace for trace in violins["data"] if trace["type"] == "violin"]) == 6
    color = next(box for box in app.selectbox if box.label == "Colour by")
    assert not any("α" in option for option in color.options)
    assert "Train with preset default" in app.info[0].value
    assert any("The map of all rates shows β and γ" in caption.value for caption in app.caption)
