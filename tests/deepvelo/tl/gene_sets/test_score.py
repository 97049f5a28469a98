"""The mean score of a gene set, against scanpy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc
import zarr
from anndata import AnnData

from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.score import gene_set_score, mean_logs

N_CELLS, N_GENES = 60, 900
GENES = [3, 40, 41, 500, 777]


@pytest.fixture(scope="module")
def layer() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.gamma(1.0, rng.lognormal(size=N_GENES), size=(N_CELLS, N_GENES)).astype(np.float32)


@pytest.mark.parametrize(("n_controls", "seed"), [(50, 0), (7, 3)])
def test_it_is_scanpys_score(layer, n_controls, seed):
    score = gene_set_score(layer, GENES, mean_logs(layer), n_controls=n_controls, seed=seed)
    logs = AnnData(np.log1p(layer).astype(np.float64))
    sc.tl.score_genes(
        logs, [str(gene) for gene in GENES], ctrl_size=n_controls, random_state=seed, use_raw=False
    )
    np.testing.assert_allclose(score, logs.obs["score"], atol=1e-6)


def test_a_layer_on_disk_has_the_same_score(layer, tmp_path):
    stored = zarr.create_array(str(tmp_path / "Ms"), data=layer, chunks=(N_CELLS, 64), zarr_format=2)
    np.testing.assert_allclose(mean_logs(stored), mean_logs(layer))
    score = gene_set_score(stored, GENES, mean_logs(stored))
    np.testing.assert_allclose(score, gene_set_score(layer, GENES, mean_logs(layer)))


def test_cells_with_a_doubled_set_have_the_higher_score(layer):
    doubled = layer.copy()
    doubled[:30, GENES] *= 4
    score = gene_set_score(doubled, GENES, mean_logs(doubled))
    assert score[:30].mean() > score[30:].mean() + 0.5


def test_without_control_genes_the_score_is_the_mean(layer):
    few = layer[:, :2]
    np.testing.assert_allclose(
        gene_set_score(few, [0, 1], mean_logs(few)), np.log1p(few).mean(axis=1), rtol=1e-5
    )


def test_genes_without_values_do_not_count(layer):
    lacking = layer.copy()
    lacking[5, 40] = np.nan
    without = [gene for gene in GENES if gene != 40]
    means = mean_logs(lacking)
    np.testing.assert_array_equal(
        gene_set_score(lacking, GENES, means), gene_set_score(lacking, without, means)
    )
    with pytest.raises(InputError, match="no score"):
        gene_set_score(lacking, [40], means)
