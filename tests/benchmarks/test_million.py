"""The measurement of a slice runs, on few cells, and its words follow from its figures."""

from __future__ import annotations

import pytest

from benchmarks.million import in_words, measure, moments, whole
from deepvelo import plan


def row(n_cells: int, *, seconds: float) -> dict:
    return {
        "n_cells": n_cells, "n_genes": 200, "n_epochs": 8, "n_averages": 2, "peak_mb": 900.0, "moments_mb": 150.0, "on_disk": False,
        "seconds": {"neighbours": seconds, "an epoch": 2 * seconds, "the averages of a gene": seconds / 100},
    }  # fmt: skip


def test_the_time_of_a_cell_is_held_against_that_of_the_first_size():
    few, many = row(1000, seconds=0.1), row(10_000, seconds=1.5)
    assert "neighbours 1.5 s (150 us a cell, x 1.50), an epoch 3 s (300 us a cell, x 1.50)" in in_words(
        many, few
    )
    assert "x 1.00" in in_words(few, few)
    assert "x 1.50" not in in_words(few, few)
    assert "on disk" not in in_words(many, few)
    from_disk = many | {"on_disk": True, "seconds": many["seconds"] | {"writing by cell": 2.0}}
    # 1.5 s, 8 epochs of 3 s and two layers of 200 genes at 0.015 s
    assert whole(many) == pytest.approx(1.5 + 24 + 6)
    assert "all of it 31.5 s (3.15e+03 us a cell, x 1.50); 8 epochs" in in_words(many, few)
    assert "writing by cell 2 s (200 us a cell), all of it 33.5 s" in in_words(from_disk, few)
    assert in_words(from_disk, few).endswith("on disk")


def test_moments_are_those_of_cells_that_differ_and_a_seed_repeats_them():
    spliced, unspliced = moments(n_cells=400, n_genes=50, seed=0)
    assert spliced.shape == unspliced.shape == (400, 50)
    assert (spliced.std(0) > 0).float().mean() > 0.8
    again, other = (moments(n_cells=400, n_genes=50, seed=seed)[0] for seed in (0, 1))
    assert spliced.equal(again)
    assert not spliced.equal(other)


def test_moments_in_files_are_those_in_memory(tmp_path):
    in_files, in_memory = (
        moments(n_cells=50, n_genes=35, seed=0, folder=folder) for folder in (tmp_path, None)
    )
    for found, expected in zip(in_files, in_memory, strict=True):
        assert found[:, :].equal(expected)


@pytest.mark.slow
def test_few_cells_are_measured_from_components_to_epochs():
    found = measure(n_cells=2500, n_genes=60, n_epochs=2, seed=0)
    assert found["n_epochs"] > 2
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert list(found["seconds"]) == [
        "components",
        "neighbours",
        "candidates",
        "target assignment",
        "neighbourhood rates",
        "the last hidden layer",
        "setting averages up",
        "the averages of a gene",
        "the rest before the epochs",
        "an epoch",
    ]
    assert not found["on_disk"]
    assert found["moments_mb"] == pytest.approx(2 * 2500 * 60 * 4 / 2**20)


@pytest.mark.slow
def test_cells_of_more_moments_are_measured_from_disk(monkeypatch):
    monkeypatch.setattr(plan, "MOST_IN_MEMORY", 0)
    found = measure(n_cells=2500, n_genes=60, n_epochs=2, seed=0)
    assert found["on_disk"]
    assert found["seconds"]["writing by cell"] > 0
    assert found["seconds"]["writing a layer of moments"] > 0
