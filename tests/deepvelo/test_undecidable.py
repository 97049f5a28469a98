"""Data that decide no direction: a whole result whose arrows are undecided, or one sentence; no crash."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys, lineages, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError
from deepvelo.evaluation import gate
from deepvelo.evaluation.gate.directions import not_static
from deepvelo.undecided import undecided_cells

SETTINGS = config.replace(config.Settings(), {"training": {"device": "cpu", "n_epochs": 3}})
pytestmark = pytest.mark.usefixtures("rough_rates_umap")
N_CELLS, N_GENES = 120, 40


def tissue(kind: str = "branch") -> AnnData:
    return simulate(kind=kind, n_cells=N_CELLS, n_genes=N_GENES, depth=6 * N_GENES, seed=0)


def counted(adata: AnnData, spliced: np.ndarray, unspliced: np.ndarray) -> AnnData:
    """The same cells with other counts, each ``(n_cells, n_genes)``."""
    for key, counts in ((keys.SPLICED, spliced), (keys.UNSPLICED, unspliced)):
        adata.layers[key] = sparse.csr_matrix(counts.astype(np.float32))
    adata.X = adata.layers[keys.SPLICED].copy()
    return adata


def all_types_small() -> AnnData:
    """Seven types of 5 to 29 cells, one after the other in true time."""
    adata = tissue()
    names = np.repeat([f"Type {i}" for i in range(7)], [5, 9, 14, 17, 21, 25, 29])
    types = np.empty(N_CELLS, dtype=object)
    types[np.argsort(adata.obs[keys.TRUE_TIME].to_numpy())] = names
    adata.obs[keys.CLUSTERS] = pd.Categorical(types)
    return adata


def eight_types_of_five() -> AnnData:
    adata = simulate(kind="branch", n_cells=40, n_genes=N_GENES, depth=6 * N_GENES, seed=0)
    adata.obs[keys.CLUSTERS] = pd.Categorical(np.repeat([f"Type {i}" for i in range(8)], 5))
    return adata


def steady_state() -> AnnData:
    return simulate(kind="static", n_cells=300, n_genes=100, depth=600, seed=3)


def one_gene_varies() -> AnnData:
    """A gene with nearly all counts follows time; of the others every cell has as many."""
    adata = tissue()
    spliced, unspliced = np.full(adata.shape, 3.0), np.full(adata.shape, 1.0)
    spliced[:, 0], unspliced[:, 0] = (np.round(most * adata.obs[keys.TRUE_TIME] + 1) for most in (5000, 2000))
    return counted(adata, spliced, unspliced)


def one_gene_varies_most() -> AnnData:
    """As above, and the others are counted with Poisson noise."""
    adata = one_gene_varies()
    rng = np.random.default_rng(0)
    spliced, unspliced = (adata.layers[key].toarray() for key in (keys.SPLICED, keys.UNSPLICED))
    spliced[:, 1:], unspliced[:, 1:] = (rng.poisson(mean, (N_CELLS, N_GENES - 1)) for mean in (3, 1))
    return counted(adata, spliced, unspliced)


def unspliced_constant() -> AnnData:
    adata = tissue()
    return counted(adata, adata.layers[keys.SPLICED].toarray(), np.full(adata.shape, 2.0))


def unspliced_falls_as_spliced_rises() -> AnnData:
    """No gene has a slope of unspliced over spliced RNA above 0."""
    adata = tissue()
    spliced = adata.layers[keys.SPLICED].toarray()
    return counted(adata, spliced, np.maximum(np.round(2 * spliced.mean(axis=0)) - spliced, 0))


UNDECIDABLE = [
    all_types_small, eight_types_of_five, steady_state, one_gene_varies, one_gene_varies_most, unspliced_constant,
    unspliced_falls_as_spliced_rises,
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Callable[[Callable[[], AnnData]], AnnData]:
    """The result of a fit, made once: ``fitted(steady_state)``."""
    results: dict[str, AnnData] = {}

    def fit(make: Callable[[], AnnData]) -> AnnData:
        if make.__name__ not in results:
            results[make.__name__] = workflow.run(make(), SETTINGS, cluster_key=keys.CLUSTERS).adata
        return results[make.__name__]

    return fit


@pytest.mark.slow
@pytest.mark.parametrize("make", UNDECIDABLE)
def test_the_result_is_whole(fitted, make):
    result = fitted(make)
    for layer in (keys.VELOCITY, *keys.RATES):
        assert np.isfinite(result.layers[layer]).all()
    assert np.isfinite(result.obsm[keys.velocity_embedding("umap")]).all()
    confidence = result.obs[keys.CONFIDENCE].to_numpy()
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert len(gate.quality_gate(result, cluster_key=keys.CLUSTERS)) == 9


@pytest.mark.slow
@pytest.mark.parametrize("make", UNDECIDABLE)
def test_its_lineages_are_found_or_one_sentence_says_why_not(fitted, make):
    settings = lineages.LineageSettings(cluster_key=keys.CLUSTERS)
    try:
        found = lineages.analyse(fitted(make), settings)
    except InputError as error:
        sentence = str(error)
    else:
        assert len(found.cells) == fitted(make).n_obs
        assert (found.edges["confidence"] > 0).all()
        return
    assert sentence.startswith("No terminal state was found")


@pytest.mark.slow
@pytest.mark.parametrize("make", UNDECIDABLE)
def test_its_directions_are_undecided(fitted, make):
    undecided = undecided_cells(fitted(make).obs)
    assert undecided is not None
    assert undecided.mean() > 0.5
    assert not_static(fitted(make)).level == "red"


@pytest.mark.slow
def test_of_a_single_type_the_cells_are_grouped_anew():
    adata = tissue()
    adata.obs = pd.DataFrame({keys.CLUSTERS: pd.Categorical(["Granule"] * N_CELLS)}, index=adata.obs_names)
    result = workflow.run(adata, SETTINGS).adata
    assert result.uns[keys.DEEPVELO]["cluster_key"] == keys.LEIDEN
    assert np.isfinite(result.layers[keys.VELOCITY]).all()
