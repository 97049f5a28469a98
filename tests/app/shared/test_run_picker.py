"""What the sidebar says of a run, and of data that are not the run's."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.run_picker import run_details
from deepvelo.datasets import shipped
from tests.on_page import fine, labels, press, words


@pytest.mark.parametrize(("n_epochs", "expected"), [(1, ", 1 epoch, seed"), (100, ", 100 epochs, seed")])
def test_one_epoch_is_counted_as_one(shared_run, n_epochs, expected):
    info = cached.open_run(shared_run).info
    told = run_details(dataclasses.replace(info, metrics=info.metrics | {"n_epochs": n_epochs}))
    assert expected in told


def page():
    from app import session
    from app.shared.run_picker import run_picker

    session.sync_url()
    run_picker()


OTHER = "fitted to another data set"


@pytest.fixture
def both(server, made_up_run):
    """Runs of two data sets; of the sample an older and a newer."""
    return [
        made_up_run(server / "runs", data_name=data, name=name)
        for data, name in [("other.h5ad", "other"), (shipped.LABEL, "older"), (shipped.LABEL, "newer")]
    ]


def test_a_run_of_other_data_than_chosen_is_said_and_left_with_one_press(both):
    other, _, newest = both
    app = AppTest.from_function(page)
    app.query_params.update(data="sample", run=other)
    assert OTHER in words(fine(app.run()))
    assert app.query_params["run"] == other  # nobody is taken elsewhere unasked
    press(app, "Show its newest run")
    assert app.query_params["run"] == newest
    assert app.selectbox[0].value == newest
    assert OTHER not in words(fine(app))
    assert labels(app) == []


def test_chosen_data_without_a_run_offer_none(server, made_up_run):
    app = AppTest.from_function(page)
    app.query_params.update(data="sample", run=made_up_run(server / "runs"))
    assert "which has no run yet" in words(fine(app.run()))
    assert labels(app) == []


@pytest.mark.parametrize("data", [None, "file:gone.h5ad"])
def test_without_data_to_compare_with_nothing_is_said(both, data):
    app = AppTest.from_function(page)
    app.query_params.update(run=both[0], **({"data": data} if data else {}))
    assert OTHER not in words(fine(app.run()))
