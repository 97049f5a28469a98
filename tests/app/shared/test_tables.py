"""Tables whose rows choose genes."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from tests.on_page import fine


def page():
    import pandas as pd
    import streamlit as st

    from app import session
    from app.shared.tables import show_genes

    session.sync_url()
    st.button("Sox2", on_click=session.set_gene, args=("Sox2",))
    genes = ["Cpe", "Actb", "Sox2"][:: -1 if st.toggle("Other order") else 1]
    show_genes(pd.DataFrame({"Gene": genes, "q": [0.1, 0.2, 0.3]}), key="genes")


def opened(**query: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params.update(**query)
    return fine(app.run())


def click(app: AppTest, rows: list[int]) -> AppTest:
    """The page after rows of its table were selected."""
    states = app._tree.get_widget_states()
    value = json.dumps({"selection": {"rows": rows, "columns": [], "cells": []}})
    states.widgets.add(id=app.dataframe[0].proto.id, string_value=value)
    app._run(states)
    return fine(app)


def chosen(app: AppTest) -> list[int]:
    key = app.dataframe[0].proto.id.rpartition("-")[2]
    return app.session_state[key]["selection"]["rows"]


def test_a_row_chooses_its_gene_and_the_row_of_the_chosen_gene_is_selected():
    app = opened(gene="Actb")
    assert chosen(app) == [1]
    click(app, [2])
    assert app.query_params["gene"] == "Sox2"
    assert chosen(app) == [2]


def test_a_row_that_was_selected_a_moment_ago_chooses_nothing(monkeypatch):
    from app.shared import tables

    app = opened(gene="Actb")
    app.button[0].click().run()  # another gene, by another way
    assert app.query_params["gene"] == "Sox2"
    click(app, [1])  # the browser has not drawn the new row yet
    assert app.query_params["gene"] == "Sox2"
    assert chosen(app) == [2]
    click(app, [0])
    assert app.query_params["gene"] == "Cpe"
    monkeypatch.setattr(tables, "_STALE", 0)
    click(app, [1])
    assert app.query_params["gene"] == "Actb"


def test_clicks_go_there_and_back_at_once():
    app = opened(gene="Actb")
    for row, gene in ((2, "Sox2"), (1, "Actb"), (2, "Sox2")):
        assert click(app, [row]).query_params["gene"] == gene


def test_no_row_keeps_the_gene():
    app = click(opened(gene="Actb"), [])
    assert app.query_params["gene"] == "Actb"
    assert chosen(app) == [1]


def test_a_gene_that_is_not_in_the_table_selects_no_row():
    assert chosen(opened(gene="Gad1")) == []


def test_the_row_that_was_selected_in_another_table_chooses_nothing():
    app = opened(gene="Cpe")
    before = app.dataframe[0].proto.id
    app.toggle[0].set_value(True).run()
    assert app.dataframe[0].proto.id != before
    assert app.query_params["gene"] == "Cpe"
    assert chosen(app) == [2]
