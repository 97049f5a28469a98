"""Bad input in the app: one sentence where the visitor looks, never an exception."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.text import with_labels
from tests import bad_input
from tests.bad_input import ODD, TOO_SMALL, UNUSABLE
from tests.on_page import shown_gene

PAGES = Path(__file__).resolve().parents[2] / "pages"
GIGABYTE = 2**30
EXPLORING = ["velocity", "phase_portraits", "kinetic_rates"]


def opened(name: str, **query: str) -> AppTest:
    page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
    page.query_params.update(query)
    page.run()
    assert not page.exception
    return page


def start_button(page: AppTest):
    return next(button for button in page.button if button.label == "Start training")


@pytest.fixture
def good(server) -> str:
    bad_input.written()(server / "data" / "good.h5ad")
    return "file:good.h5ad"


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_file_is_one_sentence_on_both_pages(server, name):
    UNUSABLE[name].write(server / "data" / "bad.h5ad")
    for page in (opened("data", data="file:bad.h5ad"), opened("train", data="file:bad.h5ad")):
        (error,) = page.error
        assert UNUSABLE[name].words in error.value
        assert not [b for b in page.button if b.label == "Start training" and not b.disabled]


@pytest.mark.parametrize("name", TOO_SMALL)
def test_settings_that_ask_too_much_of_a_file_are_refused_before_the_start(server, name):
    TOO_SMALL[name].write(server / "data" / "bad.h5ad")
    assert not opened("data", data="file:bad.h5ad").error
    page = opened("train", data="file:bad.h5ad")
    (error,) = page.error
    assert with_labels(TOO_SMALL[name].words) in error.value
    assert start_button(page).disabled


def test_everything_odd_at_once_is_a_list_and_can_be_trained(server):
    bad_input.written(bad_input.everything_odd)(server / "data" / "odd.h5ad")
    page = opened("data", data="file:odd.h5ad")
    assert not page.error
    (warnings,), (notes,) = page.warning, page.info
    said = warnings.value + notes.value.replace("\\", "")
    for case in ODD.values():
        assert case.words in said
    page = opened("train", data="file:odd.h5ad")
    assert not page.error
    assert not start_button(page).disabled


def test_a_grouping_with_one_member_is_not_offered(server):
    bad_input.written(bad_input.one_group)(server / "data" / "one.h5ad")
    page = opened("train", data="file:one.h5ad")
    assert not page.error
    assert "Cell groups" not in [box.label for box in page.selectbox]
    assert any("no cell groups" in caption.value for caption in page.caption)


def test_not_enough_memory_for_the_fit_is_said_before_the_start(good, monkeypatch):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: GIGABYTE // 8)
    page = opened("train", data=good)
    (error,) = page.error
    assert "A fit of 40 cells and 40 genes needs about 0.2 GB of memory. Found 0.1 GB free." in error.value
    assert start_button(page).disabled


@pytest.mark.parametrize("name", ["data", "train"])
def test_not_enough_memory_for_the_file(good, monkeypatch, name):

    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 0)
    (error,) = opened(name, data=good).error
    assert "good.h5ad needs 0.0 GB of memory. Found 0.0 GB free." in error.value


def test_a_run_store_that_may_not_be_written_is_said_before_the_start(good, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    page = opened("train", data=good)
    monkeypatch.setattr("deepvelo.io.runs.tempfile.TemporaryFile", refuse)
    start_button(page).click().run()
    assert not page.exception
    (error,) = page.error
    assert "cannot be written to (Permission denied)" in error.value
    assert cached.jobs().list() == []


def test_a_run_store_that_is_no_folder(good, server, monkeypatch):
    (server / "notes").write_text("a file", encoding="utf-8")
    monkeypatch.setenv("DEEPVELO_RUNS", str(server / "notes" / "runs"))
    page = opened("train", data=good)
    start_button(page).click().run()
    assert not page.exception
    (error,) = page.error
    assert "cannot be written to (Not a directory). Allow writing there or choose another" in error.value


def test_a_run_store_without_space(good, monkeypatch):
    page = opened("train", data=good)
    monkeypatch.setattr("deepvelo.io.runs.RESERVE_BYTES", 2**62)
    start_button(page).click().run()
    assert not page.exception
    (error,) = page.error
    assert "GB free and this run needs up to" in error.value


@pytest.mark.parametrize("name", EXPLORING)
def test_an_unknown_gene_in_the_address_comes_with_suggestions(saved_run, name):
    page = opened(name, run=saved_run, gene="tmsb11", color="gene")
    (error,) = page.error
    assert error.value.startswith("Gene 'tmsb11' is not among the 6 genes of these data.")
    assert "Did you mean 'Tmsb10'?" in error.value
    assert page.get("bidi_component")  # another gene is shown in its place


def test_a_gene_is_found_in_any_case(saved_run):
    page = opened("phase_portraits", run=saved_run, gene="TMSB10")
    assert not page.error
    assert shown_gene(page) == "Tmsb10"


def test_an_unknown_colour_in_the_address(saved_run):
    page = opened("velocity", run=saved_run, color="celltype")
    (error,) = page.error
    assert "This run has no cell column 'celltype'. Choose a colour from the list." in error.value
    assert page.get("bidi_component")


def test_an_unknown_run_in_the_address(server):
    for name, run_id in zip(EXPLORING, ["no-such-run", "../../etc", "a\0b"], strict=True):
        (error,) = opened(name, run=run_id).error
        assert "There is no run" in error.value


def test_a_run_damaged_on_disk(saved_run, server):
    layers = server / "runs" / saved_run / "result.zarr" / "layers"
    for file in layers.rglob("*"):
        if file.is_file() and not file.name.startswith("."):  # chunks, not their descriptions
            file.write_bytes(b"damaged")
    for name in EXPLORING:
        (error,) = opened(name, run=saved_run, gene="Tmsb10", color="gene").error
        assert f"The result of run {saved_run} cannot be read: " in error.value
        assert "Delete the run and fit again." in error.value
