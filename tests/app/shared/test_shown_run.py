"""Whatever a page stumbles over when its run is gone is said as that; other errors are not hidden."""

from __future__ import annotations

import shutil

import pytest
from streamlit.testing.v1 import AppTest


def stumbling() -> None:
    import streamlit as st

    from app import session
    from app.shared import cached
    from app.shared.shown_run import gone_in_words, run_fragment

    @run_fragment
    def part(run):
        st.button("Again")
        st.write(str(len(run.obs)))

    with gone_in_words():
        if st.session_state.get("stumble"):
            raise FileNotFoundError(2, "No such file or directory")
        part(cached.open_run(session.run_id()))


@pytest.fixture
def page(saved_run) -> AppTest:
    page = AppTest.from_function(stumbling)
    page.query_params["run"] = saved_run
    return page.run()


def test_an_error_of_a_page_whose_run_is_gone_is_one_sentence(page, server, saved_run):
    shutil.rmtree(server / "runs" / saved_run)
    page.session_state["stumble"] = True
    page.run()
    assert not page.exception
    assert [error.value for error in page.error] == ["This run was deleted. Choose another."]


def test_an_error_of_a_page_whose_store_is_gone_is_one_sentence(page, server):
    shutil.rmtree(server / "runs")
    (server / "runs").write_text("")
    page.session_state["stumble"] = True
    page.run()
    assert not page.exception
    assert "run store" in page.error[0].value


def test_an_error_of_a_page_whose_run_is_there_is_not_hidden(page):
    page.session_state["stumble"] = True
    assert page.run().exception


def test_a_part_that_is_drawn_again_alone_sees_that_its_run_is_gone(page, server, saved_run):
    assert page.markdown[-1].value == "40"
    shutil.rmtree(server / "runs" / saved_run)
    page.button[0].click().run()
    assert not page.exception
    assert [error.value for error in page.error] == ["This run was deleted. Choose another."]
