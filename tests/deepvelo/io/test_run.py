"""What a run says of itself, by the method and preset that made it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deepvelo import config, keys
from deepvelo.io.run import Run, RunInfo

INFO = RunInfo(
    run_id="one", name="one", data_name="data", data_hash="", created="", settings=config.Settings(), metrics={},
    versions={}, cluster_key="clusters", basis="umap",
)  # fmt: skip


def run_of(method: str, layers: list[str], *, preset: str = "default") -> Run:
    settings = config.replace(config.PRESETS[preset], {"method": method})
    run = Run(Path("nowhere"), dataclasses.replace(INFO, settings=settings))
    run.__dict__["layers"] = layers  # otherwise read from the folder
    return run


ALL = [keys.ALPHA, keys.BETA, keys.GAMMA, keys.VELOCITY, keys.VELOCITY_U]


@pytest.mark.parametrize(
    ("run", "rates", "alpha", "du_dt"),
    [
        (run_of("deepvelo", ALL), True, True, True),
        (run_of("deepvelo", ALL, preset="published"), True, False, False),
        (run_of("stochastic", [keys.VELOCITY]), False, False, False),
        (run_of("dynamical", [keys.VELOCITY, keys.VELOCITY_U]), False, False, True),
        (run_of("imported", [keys.VELOCITY, keys.BETA]), True, False, False),
    ],
)
def test_a_run_has_the_rates_that_its_method_fits(run, rates, alpha, du_dt):
    assert (run.has_rates, run.has_alpha, run.has_du_dt) == (rates, alpha, du_dt)


@pytest.mark.parametrize(
    ("method", "ours", "imported", "scvelo"),
    [
        ("deepvelo", True, False, False),
        ("imported", False, True, False),
        ("stochastic", False, False, True),
        ("graphvelo", False, False, False),
    ],
)
def test_a_run_knows_who_computed_it(method, ours, imported, scvelo):
    info = run_of(method, []).info
    assert (info.is_ours, info.is_imported, info.is_scvelo) == (ours, imported, scvelo)
    assert info.method_label == config.method_label(info.settings)
