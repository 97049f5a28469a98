"""The user's picture is drawn on, whatever it is called and wherever it lies."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from tests.cases.bench import Bench, assert_drawn_on, assert_noted, n_drawn, require_agreement
from tests.cases.made import pictures
from tests.cases.made.cells import counts
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(pictures))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("umap_cell_embeddings", "umap_cell_embeddings"),
        ("umap_named_after_integration", "X_harmony.umap"),
        ("umap_nan_rows", "X_umap"),
    ],
)
def test_the_embedding_of_the_file_is_drawn_on(bench: Bench, case: str, key: str) -> None:
    given = ad.read_h5ad(bench.data(case)).obsm[key]
    assert_drawn_on(bench.run(case).adata, np.asarray(given))


def test_an_embedding_is_chosen_by_its_own_name(bench: Bench) -> None:
    fit = bench.run("umap_cell_embeddings", "--basis", "umap_cell_embeddings").adata
    assert_drawn_on(fit, ad.read_h5ad(bench.data("umap_cell_embeddings")).obsm["umap_cell_embeddings"])


def test_columns_of_the_cells_are_drawn_on(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("umap_in_obs")).obs[["UMAP_1", "UMAP_2"]]
    assert_drawn_on(bench.run("umap_in_obs").adata, given.to_numpy())


def test_the_picture_and_groups_of_velocyto_are_used(bench: Bench) -> None:
    *_, time = counts()
    fit = bench.run("velocyto_run10x_loom").adata
    assert_drawn_on(fit, np.c_[4 * time, np.sin(2 * time)])
    assert fit.uns["deepvelo"]["cluster_key"] == "Clusters"


def test_cells_without_coordinates_are_counted(bench: Bench) -> None:
    assert_noted(bench, "umap_nan_rows", "3", "cells", "umap")


@pytest.mark.parametrize("case", [case for case in makers(pictures) if case != "first_umap_nan"])
def test_the_data_page_draws_every_cell_that_has_coordinates(bench: Bench, case: str) -> None:
    assert n_drawn(bench.page(case).picture) == (147 if case == "umap_nan_rows" else 150)


def test_scores_leave_out_cells_without_coordinates(bench: Bench) -> None:
    for method in bench.evaluate("first_umap_nan", "--edges", "A progenitor > B immature").methods:
        assert method["boundary_embedding"] >= 0.9
