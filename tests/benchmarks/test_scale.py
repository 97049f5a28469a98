"""The measurement of sizes runs, on few cells, and its words follow from its figures."""

from __future__ import annotations

import pytest

from benchmarks.scale import growth, in_words, make_data, measure

LIMITS = {"gflops": 100.0, "gb_per_s": 10.0, "places_per_s": 1e8}


def row(n_cells: int, *, seconds: float, mb: float) -> dict:
    return {
        "n_cells": n_cells, "n_genes": 2000, "n_epochs": 9, "n_epochs_made": 9, "extrapolated": False,
        "seconds": {"prepare": seconds / 4, "epochs": seconds / 2, "scores": seconds / 4},
        "peak_mb": {"prepare": mb / 2, "epochs": mb, "scores": mb / 2},
        "seconds_fit": seconds / 2, "seconds_epoch": seconds / 18, "seconds_all": seconds,
        "peak_fit_mb": mb, "peak_all_mb": mb,
    }  # fmt: skip


def test_the_longest_step_is_held_against_the_machine():
    # 8 epochs of 10,000 cells: 1904 products a cell and gene, 2,000 genes, 100 GFLOP/s
    words = in_words(row(10_000, seconds=20.0, mb=500), LIMITS)
    assert "longest: epochs" in words
    assert "at the machine's rates products of matrices 3.0 s, 30%" in words


def test_of_maps_places_are_counted():
    few = row(10_000, seconds=20.0, mb=500)
    few["seconds"] = {"rates": 10.0, "epochs": 1.0}
    # 4 maps of 200 rounds: 150,000 times six places a round
    assert "places of its maps, looked up on one core, 7.2 s" in in_words(few, LIMITS)


def test_growth_is_measured_against_linear():
    words = growth(row(10_000, seconds=20, mb=500), row(100_000, seconds=220, mb=2500))
    assert "10,000 to 100,000 cells" in words
    assert "all steps x 1.10, memory x 0.50" in words


@pytest.mark.slow
def test_every_step_is_measured(tmp_path):
    path = tmp_path / "counts.h5ad"
    make_data(path, n_cells=2100, n_genes=60, seed=0)
    found = measure(path, epochs=16, share=0.5, seed=0)
    assert found["extrapolated"]
    assert found["n_epochs_made"] == 4
    assert set(found["seconds"]) >= {
        "read",
        "prepare",
        "targets",
        "epochs",
        "graph",
        "rates",
        "save",
        "stream",
    }
    assert found["seconds_all"] > sum(found["seconds"].values())
    assert found["peak_all_mb"] >= found["peak_fit_mb"]
    assert "2,100 x " in in_words(found, LIMITS)
