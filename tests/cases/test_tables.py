"""Missing values and tables where arrays are usual end in no traceback."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from tests.cases.bench import Bench, assert_noted, n_drawn, require_agreement
from tests.cases.made import tables
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(tables))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_moments_that_miss_a_cell_are_recomputed(bench: Bench) -> None:
    fit = bench.run("moments_nan_everywhere")
    assert_noted(bench, "moments_nan_everywhere", "moments", "recomputed")
    assert fit.metrics["n_velocity_genes"] == 60
    assert np.isfinite(fit.adata.layers["Ms"]).all()


def test_an_embedding_in_a_table_is_drawn_and_written(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("umap_table")).obsm["X_umap"].to_numpy()
    assert n_drawn(bench.page("umap_table").picture) == 150
    np.testing.assert_allclose(np.asarray(bench.run("umap_table").adata.obsm["X_umap"]), given, rtol=1e-6)


def test_a_gene_without_a_word_on_its_velocity_has_none(bench: Bench) -> None:
    assert bench.evaluate("velocity_genes_missing").velocity_genes == [40, 10]
