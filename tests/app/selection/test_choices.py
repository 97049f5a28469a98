"""Selections without drawing: by a group or number, and by names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from tests.on_page import headers, selected, shown_gene, words

PAGES = Path(__file__).resolve().parents[3] / "pages"
PSEUDOTIME = "velocity_pseudotime"


@pytest.fixture
def run_id(server: Path, made_up_run) -> str:
    return made_up_run(server / "runs")


def opened(run_id: str, page: str = "velocity.py", way: str = "", **query: str) -> AppTest:
    """A page with the box to select cells open."""
    app = AppTest.from_file(str(PAGES / page), default_timeout=60)
    app.query_params.update(run=run_id, **query)
    app.session_state["selection.by"] = True
    app.run()
    return app.segmented_control(key="selection.way").select(way).run() if way else app


def by(app: AppTest, column: str) -> AppTest:
    return app.selectbox(key="selection.column").select(column).run()


def limit(app: AppTest, side: str):
    return next(field for field in app.number_input if field.label.endswith(f", at {side}"))


def test_pasted_names_are_found_and_counted(run_id):
    run = cached.open_run(run_id)
    app = opened(run_id, way="Names")
    app.text_area(key="selection.names").set_value(f"{run.obs.index[4]}\n{run.obs.index[2]}\nnobody").run()
    assert "2 of 3 names found. 1 is not in this run: 'nobody'." in words(app)
    app.button(key="selection.apply").click().run()
    assert selected(app) == [2, 4]


def test_cells_above_a_threshold_are_selected(run_id):
    run = cached.open_run(run_id)
    app = by(opened(run_id), PSEUDOTIME)
    values = run.obs[PSEUDOTIME].to_numpy()
    least = float(np.quantile(values, 0.8))
    limit(app, "least").set_value(least).run()
    app.button(key="selection.apply").click().run()
    assert selected(app) == np.flatnonzero(values >= least).tolist()


def test_a_threshold_stays_with_its_column_and_gene(run_id):
    app = by(opened(run_id, gene="Cpe"), "gene")
    limit(app, "least").set_value(0.7).run()
    assert limit(by(app, PSEUDOTIME), "least").value is None
    app.query_params["gene"] = "Actb"
    by(app, "gene")
    assert limit(app, "least").label.startswith("Actb")
    assert limit(app, "least").value is None


@pytest.mark.parametrize("gene", ["Nothere", "Cpe"])
def test_cells_are_selected_by_the_gene_that_the_page_shows(run_id, gene):
    app = by(opened(run_id, gene=gene, page="kinetic_rates.py"), "gene")
    assert not app.exception
    assert len(app.error) == (gene == "Nothere")
    assert len(headers(app)) >= 2
    assert limit(app, "least").label == f"{shown_gene(app)}, at least"


def test_a_list_of_genes_that_the_run_lacks_leaves_the_page_whole(run_id):
    found = cached.save_gene_list("strangers", ["Nothere", "Neither"], offer=False)
    app = by(opened(run_id, list=found.list_id), "gene_list")
    assert not app.exception
    assert len(app.error) == 1
    assert len(headers(app)) >= 1
