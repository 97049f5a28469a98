"""Values of widgets in the URL: opened, changed, left out at their default, and foreign ones."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

LONG = "x" * 10_000
DEFAULTS = "red [] 1.0 None False"


def page():
    import streamlit as st

    from app import session
    from app.shared.view import number_in, one_of, some_of, switch

    session.sync_url(session.widget_value("opened") or "here")
    st.button("there", on_click=session.fill, args=({"opened": "there"},))
    st.button("here", on_click=session.fill, args=({"opened": "here"},))
    st.button("blue", on_click=session.fill, args=({"p.color": "blue"},))
    if session.widget_value("opened") == "there":
        st.stop()
    colors = ["red", "blue"]
    types = ["A", "B", "C, D"]
    color = st.selectbox("Colour", colors, **one_of("color", colors, key="p.color"))
    chosen = st.multiselect("Types", types, **some_of("types", types, key="p.types"))
    size = st.slider("Size", 0.5, 2.0, step=0.5, **number_in("size", 0.5, 2.0, 1.0, key="p.size"))
    n = st.number_input("N", 1, 9, None, **number_in("n", 1, 9, None, key="p.n", may_be_empty=True))
    on = st.toggle("On", **switch("on", key="p.on"))
    order = st.selectbox("Order", colors, **one_of("order", colors, key="p.order", always=True))
    st.text(f"{color} {chosen} {size} {n} {on}")
    st.caption(order)


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def shown(app: AppTest) -> str:
    assert not app.exception
    return app.text[0].value


def in_url(app: AppTest) -> dict[str, object]:
    return {name: value for name, value in app.query_params.items() if name != "order"}


def test_defaults_are_left_out_of_the_url_unless_they_may_change(app):
    assert shown(app.run()) == DEFAULTS
    assert dict(app.query_params) == {"order": "red"}


def test_a_link_opens_the_view_without_a_word(app):
    app.query_params.update(color="blue", types=["C, D", "A"], size="1.5", n="3", on="on")
    assert shown(app.run()) == "blue ['C, D', 'A'] 1.5 3 True"
    assert in_url(app) == {"color": "blue", "types": ["C, D", "A"], "size": "1.5", "n": "3", "on": "on"}
    assert not app.toast


def test_a_change_is_written_and_a_return_to_the_default_removed(app):
    app.run()
    app.selectbox[0].select("blue").run()
    app.multiselect[0].select("B").run()
    assert in_url(app) == {"color": "blue", "types": "B"}
    app.selectbox[0].select("red").run()
    app.multiselect[0].unselect("B").run()
    assert in_url(app) == {}


def test_callbacks_may_set_a_widget(app):
    app.query_params.update(color="red")
    press(app.run(), "blue")
    assert in_url(app) == {"color": "blue"}


def test_the_view_of_a_page_returns_with_it(app):
    app.run()
    app.selectbox[0].select("blue").run()
    app.query_params.clear()  # as a click on a page in the sidebar does
    press(app, "there")
    assert in_url(app) == {}
    app.query_params.clear()
    assert shown(press(app, "here")).startswith("blue")
    assert in_url(app) == {"color": "blue"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("color", "green"), ("color", LONG), ("color", ""), ("types", ["E", LONG]), ("size", "big"), ("size", "nan"),
        ("size", "9"), ("size", "9" * 10_000), ("n", "1.5"), ("n", "-1"), ("on", "maybe"), ("order", "[]"),
    ],
)  # fmt: skip
def test_foreign_values_are_said_in_one_sentence_and_the_default_is_shown(app, name, value):
    app.query_params[name] = value
    assert shown(app.run()) == DEFAULTS
    assert dict(app.query_params) == {"order": "red"}
    (toast,) = app.toast
    assert name in toast.value
    assert len(toast.value) < 500
    assert not press(app, "blue").toast


def test_of_several_the_known_ones_are_shown(app):
    app.query_params["types"] = ["B", "gone", "B"]
    assert shown(app.run()) == "red ['B'] 1.0 None False"
    assert "'gone'" in app.toast[0].value
    assert in_url(app) == {"types": "B"}


def test_names_of_others_stay(app):
    app.query_params["cells"] = "my selection"
    app.run()
    app.selectbox[0].select("blue").run()
    assert in_url(app) == {"cells": "my selection", "color": "blue"}
