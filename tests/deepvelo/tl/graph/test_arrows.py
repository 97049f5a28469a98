import matplotlib.pyplot as plt
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys, tl
from deepvelo.tl.graph import arrows as module
from deepvelo.tl.graph.velocity_graph import quiet
from tests.moving import by_scvelo, moving_cells


def with_cosines(cosines: np.ndarray, places: np.ndarray) -> AnnData:
    cosines = np.asarray(cosines, dtype=np.float32)
    return AnnData(
        obs={"cell": list(map(str, range(len(cosines))))},
        obsm={keys.X_UMAP: np.asarray(places, dtype=float)},
        uns={
            keys.VELOCITY_GRAPH: sparse.csr_matrix(cosines.clip(0)),
            keys.VELOCITY_GRAPH_NEG: sparse.csr_matrix(cosines.clip(None, 0)),
        },
    )


def arrows_on(adata, basis):
    tl.velocity_embedding(adata, basis=basis)
    return adata.obsm[keys.velocity_embedding(basis)]


@pytest.mark.filterwarnings("ignore:Transforming to str index")
def test_four_cells_in_closed_form():
    places = [[0, 0], [2, 0], [0, -3], [5, 5]]
    cosines = [[0, 0.8, -0.2, 0], [0.8, 0, 0.8, 0], [0.8, 0, 0, 0], [0, 0, 0, 0]]
    arrows = arrows_on(with_cosines(cosines, places), "umap")
    assert np.isnan(arrows[3]).all()  # knows of no cell
    np.testing.assert_allclose(arrows[1:3], 0, atol=1e-12)  # all the same, so no preference
    # The first cell keeps to the second, at the right, and away from the third, below it: weights a and -b less
    # their mean (a - b) / 2 are (a + b) / 2 and its opposite.
    assert arrows[0, 0] == pytest.approx(arrows[0, 1])
    assert arrows[0, 0] > 0


@pytest.mark.filterwarnings("ignore:Transforming to str index")
def test_weights_are_exponential_and_staying_takes_its_share():
    # Two cells that each see one ahead, with another cosine, and one behind.
    places = [[0, 0], [0, 1], [1, 0], [1, 1], [-1, 0], [-1, 1]]
    cosines = np.zeros((6, 6))
    cosines[0, [2, 4]] = 1, -1
    cosines[1, [3, 5]] = 0.5, -0.25
    arrows = arrows_on(with_cosines(cosines, places), "umap")
    confidence = np.array([1, 0.5, 0, 0, 0, 0])
    stay = np.expm1(10 * (np.percentile(confidence, 98) - confidence[1]))
    ahead, behind = np.expm1(5), np.expm1(2.5)
    assert arrows[1, 0] / arrows[0, 0] == pytest.approx((ahead + behind) / (ahead + behind + stay), rel=1e-6)
    np.testing.assert_allclose(arrows[:2, 1], 0, atol=1e-12)


def test_numbers_are_those_of_scvelo_and_nothing_of_pyplot_is_used(monkeypatch):
    import scvelo as scv

    monkeypatch.setattr(module, "_BLOCK_CELLS", 250)
    reference = by_scvelo(moving_cells())
    adata = reference.copy()
    for basis in ("umap", "pca"):
        key = keys.velocity_embedding(basis)
        with quiet():
            scv.tl.velocity_embedding(reference, basis=basis)
        with monkeypatch.context() as patch:
            patch.setattr(plt, "figure", None)
            arrows = arrows_on(adata, basis)
        assert arrows.shape == adata.obsm[keys.embedding(basis)].shape
        np.testing.assert_allclose(arrows, reference.obsm[key], atol=1e-5 * np.abs(arrows).max())
        np.testing.assert_array_equal(adata.obsm[key], arrows)
    assert adata.uns[keys.VELOCITY_PARAMS]["embeddings"] == ["umap", "pca"]


def test_arrows_grow_with_the_embedding():
    adata = moving_cells(n_cells=200, n_genes=60)
    tl.velocity_graph(adata)
    adata.obsm[keys.embedding("wide")] = adata.obsm[keys.X_UMAP] * 10
    small, wide = (arrows_on(adata, basis) for basis in ("umap", "X_wide"))
    np.testing.assert_allclose(wide, small * 10, rtol=1e-5)
    assert keys.velocity_embedding("wide") in adata.obsm


def test_cells_without_coordinates_have_no_arrow_and_the_others_pass_over_them():
    adata = moving_cells(n_cells=200, n_genes=60)
    tl.velocity_graph(adata)
    away = np.array([3, 77, 140])
    some = adata.obsm[keys.X_UMAP].copy()
    some[away] = np.nan
    adata.obsm["X_some"] = some
    found = arrows_on(adata, "some")
    assert np.isnan(found[away]).all()
    placed = np.setdiff1d(np.arange(200), away)
    part = AnnData(
        obsm={keys.X_UMAP: some[placed]},
        uns={
            key: adata.uns[key][placed][:, placed] for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)
        },
    )
    # A placed cell stays as likely as it was where the most confident cells are all placed.
    expected = arrows_on(part, "umap")
    cosines = (found[placed] * expected).sum(axis=1)
    cosines /= np.linalg.norm(found[placed], axis=1) * np.linalg.norm(expected, axis=1)
    assert (cosines > 0.999).all()
