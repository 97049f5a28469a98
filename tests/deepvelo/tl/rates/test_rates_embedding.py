"""Maps and scores of the rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.tl import rate_scores, rates_umap
from deepvelo.tl.rates import rates_embedding as rates


def two_kinetic_types(*, alpha: bool = True) -> AnnData:
    """80 cells x 6 genes; two types whose rates lie far apart, mixed in no other way."""
    rng = np.random.default_rng(0)
    types = np.repeat(["one", "two"], 40)
    adata = AnnData(np.zeros((80, 6), dtype=np.float32))
    adata.obs["clusters"] = pd.Categorical(types)
    for key in keys.RATES:
        adata.layers[key] = (rng.normal(1, 0.1, (80, 6)) + 5 * (types == "two")[:, None]).astype(np.float32)
    if not alpha:
        adata.layers[keys.ALPHA][:] = np.nan
    return adata


@pytest.fixture(scope="module")
def template() -> AnnData:
    adata = two_kinetic_types()
    rates_umap(adata, n_neighbors=10, seed=0)
    return adata


@pytest.fixture
def embedded(template) -> AnnData:
    """The two types with maps of their rates."""
    return template.copy()


def test_types_with_their_own_rates_are_found(embedded):
    scores = rate_scores(embedded, cluster_key="clusters", seed=0)
    assert scores["ari_rates"] > 0.4  # Leiden may split a type, but mixes none
    assert (pd.crosstab(embedded.obs["clusters"], embedded.obs[keys.RATES_LEIDEN]) > 0).sum().max() == 1
    assert scores["silhouette_rates"] > 0.5
    for key in (keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP):
        assert embedded.obsm[key].shape == (80, 2)


def test_shuffled_types_score_nothing(embedded):
    shuffled = np.random.default_rng(1).permutation(embedded.obs["clusters"])
    embedded.obs["clusters"] = pd.Categorical(shuffled)
    scores = rate_scores(embedded, cluster_key="clusters", seed=0)
    assert abs(scores["ari_rates"]) < 0.1
    assert abs(scores["silhouette_rates"]) < 0.1


def test_a_rate_that_was_not_estimated_is_left_out():
    adata = two_kinetic_types(alpha=False)
    rates_umap(adata, n_neighbors=10, seed=0)
    assert keys.X_ALPHA_UMAP not in adata.obsm
    assert np.isfinite(adata.obsm[keys.X_RATES_UMAP]).all()


def test_of_many_cells_a_sample_is_compared(embedded, monkeypatch):
    whole = rate_scores(embedded, cluster_key="clusters", seed=0)
    monkeypatch.setattr(rates, "MOST_IN_SILHOUETTE", 40)
    some = rate_scores(embedded, cluster_key="clusters", seed=0)
    assert some["silhouette_rates"] != whole["silhouette_rates"]
    assert some["silhouette_rates"] == pytest.approx(whole["silhouette_rates"], abs=0.05)
    assert some == rate_scores(embedded, cluster_key="clusters", seed=0)


def test_a_rare_group_that_is_not_drawn_spoils_nothing(embedded, monkeypatch):
    embedded.obs["clusters"] = ["rare", *["usual"] * 79]
    monkeypatch.setattr(rates, "MOST_IN_SILHOUETTE", 2)
    scores = rate_scores(embedded, cluster_key="clusters", seed=0)
    assert np.isnan(scores["silhouette_rates"])
    assert np.isfinite(scores["ari_rates"])


def test_one_group_has_no_scores(embedded):
    embedded.obs["clusters"] = "same"
    assert all(np.isnan(score) for score in rate_scores(embedded, cluster_key="clusters", seed=0).values())


def test_same_seed_same_map(embedded):
    again = two_kinetic_types()
    rates_umap(again, n_neighbors=10, seed=0)
    assert again.obsm[keys.X_RATES_UMAP] == pytest.approx(embedded.obsm[keys.X_RATES_UMAP], abs=0)
