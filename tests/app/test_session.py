"""Run, gene and colour live in the URL and in the session; only one file touches either."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def page():
    import streamlit as st

    from app import session

    session.sync_url()
    st.button("gene", on_click=session.set_gene, args=("Tmsb10",))
    st.button("no gene", on_click=session.set_gene, args=(None,))
    st.button("other run", on_click=session.set_run, args=("second",))
    st.selectbox("Colour", ["clusters", "age"], **session.linked("color", session.color() or "clusters"))
    st.text(f"{session.run_id()} {session.gene()} {session.color()}")


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_a_url_opens_the_view(app):
    app.query_params.update(run="first", gene="Cpe", color="age")
    app.run()
    assert app.text[0].value == "first Cpe age"
    assert app.selectbox[0].value == "age"


def test_a_choice_is_written_to_the_url(app):
    press(app.run(), "gene")
    assert app.query_params["gene"] == "Tmsb10"
    app.selectbox[0].set_value("age").run()
    assert app.query_params["color"] == "age"
    assert app.text[0].value == "None Tmsb10 age"


def test_the_session_outlives_a_page_change_that_drops_the_url(app):
    press(app.run(), "gene")
    app.query_params.clear()
    app.run()
    assert app.text[0].value.split()[1] == "Tmsb10"
    assert app.query_params["gene"] == "Tmsb10"


def test_nothing_chosen_leaves_the_url_clean(app):
    app.query_params.update(gene="Cpe")
    press(app.run(), "no gene")
    assert "gene" not in app.query_params
    assert app.text[0].value.split()[1] == "None"


def test_only_the_session_file_touches_the_session():
    touching = re.compile(r"st\.(session_state|query_params)")
    files = [*ROOT.glob("app/**/*.py"), *ROOT.glob("pages/*.py")]
    assert [f.name for f in files if touching.search(f.read_text(encoding="utf-8"))] == ["session.py"]
