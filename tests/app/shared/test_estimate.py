from __future__ import annotations

import dataclasses

import pytest

from app.shared.estimate import (
    GRAPHVELO_SECONDS_PER_CELL,
    SECONDS_BESIDES,
    SECONDS_BESIDES_PER_CELL,
    SECONDS_PER_EPOCH,
    SECONDS_PER_VALUE,
    SECONDS_PER_VALUE_OF,
    estimate_seconds,
    in_words,
)
from deepvelo import config
from deepvelo.config import Settings
from deepvelo.io.runs import RunInfo


def past_run(**metrics) -> RunInfo:
    return RunInfo(
        run_id="r", name="", data_name="", data_hash="", created="", versions={}, cluster_key="", basis="",
        settings=Settings(), metrics=metrics,
    )  # fmt: skip


SETTINGS = config.replace(Settings(), {"training": {"n_epochs": 200}})
BESIDES = SECONDS_BESIDES + 1000 * SECONDS_BESIDES_PER_CELL
AS_TWICE = SECONDS_BESIDES + 2 * (30.0 - SECONDS_BESIDES)
LARGE = past_run(n_cells=1000, n_genes=2000, n_epochs=100, seconds_train=50.0, seconds_total=80.0)


def test_without_past_runs_the_measured_constants_count():
    expected = (SECONDS_PER_VALUE * 1e6 + SECONDS_PER_EPOCH) * 200 + BESIDES
    assert estimate_seconds(1000, 1000, SETTINGS, finished=[]) == pytest.approx(expected)


def test_a_past_run_sets_the_pace():
    """Twice the cells, half the genes, twice the epochs: training takes twice the 50 s, of the other 30 s what goes by cells."""
    expected = 2 * 50.0 + 200 * SECONDS_PER_EPOCH + AS_TWICE
    assert estimate_seconds(2000, 1000, SETTINGS, finished=[LARGE]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "useless",
    [
        past_run(),
        past_run(n_cells=40, n_genes=6, n_epochs=3, seconds_train=2.0, seconds_total=4.0),
        past_run(n_cells=1000, n_genes=2000, seconds_train=50.0, seconds_total=80.0),
        past_run(n_cells=1000, n_genes=2000, n_epochs=None, seconds_train=50.0, seconds_total=80.0),
    ],
    ids=["unmeasured", "tiny", "no epochs", "empty epochs"],
)
def test_runs_that_tell_nothing_are_left_out(useless):
    assert estimate_seconds(2000, 1000, SETTINGS, finished=[useless, LARGE]) == estimate_seconds(
        2000, 1000, SETTINGS, finished=[LARGE]
    )


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (180, "3 min"), (9000, "2.5 h")])
def test_words(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize("method", ["steady_state", "stochastic", "dynamical"])
def test_scvelo_knows_no_epochs_and_goes_by_its_own_past(method):
    settings = config.replace(SETTINGS, {"method": method})
    usual = SECONDS_PER_VALUE_OF[method] * 1e6 + BESIDES
    assert estimate_seconds(1000, 1000, settings, finished=[LARGE]) == pytest.approx(usual)
    metrics = {key: value for key, value in LARGE.metrics.items() if key != "n_epochs"}
    past = dataclasses.replace(LARGE, settings=settings, metrics=metrics)
    assert estimate_seconds(2000, 2000, settings, finished=[LARGE, past]) == pytest.approx(
        2 * 50.0 + AS_TWICE
    )
    assert estimate_seconds(2000, 1000, SETTINGS, finished=[past, LARGE]) == estimate_seconds(
        2000, 1000, SETTINGS, finished=[LARGE]
    )


def test_graphvelo_goes_by_cells_whatever_the_genes():
    settings = config.replace(SETTINGS, {"method": "graphvelo"})
    usual = GRAPHVELO_SECONDS_PER_CELL * 1000 + BESIDES
    assert estimate_seconds(1000, 1000, settings, finished=[LARGE]) == pytest.approx(usual)
    past = dataclasses.replace(LARGE, settings=settings)
    estimates = [estimate_seconds(2000, n_genes, settings, finished=[past]) for n_genes in (500, 4000)]
    assert estimates == [pytest.approx(2 * 50.0 + AS_TWICE)] * 2
