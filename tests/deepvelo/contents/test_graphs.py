import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

from deepvelo import checks, keys
from deepvelo.config.preparation import PreparationConfig
from deepvelo.contents import graphs
from deepvelo.errors import InputError

N_CELLS, N_NEIGHBORS = 60, 8


def cells(**obsm) -> AnnData:
    return AnnData(np.zeros((N_CELLS, 1), dtype=np.float32), obsm=obsm)


def coordinates(n_columns: int = 5, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N_CELLS, n_columns))


def distances(n_neighbors: int = N_NEIGHBORS, *, seed: int = 0) -> sparse.csr_matrix:
    return sparse.csr_matrix(kneighbors_graph(coordinates(seed=seed), n_neighbors, mode="distance"))


def linked(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(matrix + matrix.T > 0, dtype=np.float32)


def with_graph(adata: AnnData, prefix: str = "", *, uns: str | None = "neighbors", **params) -> AnnData:
    adata.obsp[f"{prefix}distances"] = distances()
    adata.obsp[f"{prefix}connectivities"] = linked(distances())
    if uns is not None:
        adata.uns[uns] = {
            "distances_key": f"{prefix}distances",
            "connectivities_key": f"{prefix}connectivities",
            "params": {"n_neighbors": N_NEIGHBORS + 1, "method": "umap", **params},
        }
    return adata


def compared(adata: AnnData, **chosen) -> graphs.ComparisonSpace:
    return graphs.comparison_space(adata, PreparationConfig(**chosen))


def stored(adata: AnnData, **chosen) -> AnnData:
    out = AnnData(obs=adata.obs)
    graph = compared(adata, **chosen).graph
    assert graph is not None
    graphs.set_graph(out, adata, graph)
    assert graphs.has_complete_graph(out)
    return out


def assert_equal(one: sparse.csr_matrix, other: sparse.csr_matrix) -> None:
    assert (one != other).nnz == 0


@pytest.mark.parametrize(
    ("prefix", "uns"),
    [
        ("", "neighbors"), ("", None), ("wnn_", "neighbors"), ("wnn_", "wnn"), ("wnn_", None), ("harmony.", None),
        ("X_", None),
    ],
)  # fmt: skip
def test_a_whole_graph_is_used_wherever_it_is(prefix, uns):
    adata = with_graph(cells(X_pca=coordinates(), X_harmony=coordinates()), prefix, uns=uns)
    out = stored(adata)
    for key in (keys.DISTANCES, keys.CONNECTIVITIES):
        assert_equal(out.obsp[key], adata.obsp[prefix + key])


@pytest.mark.parametrize(
    "name", ["nn", "RNA_snn", "integrated_snn", "wsnn", "wknn", "SCT_nn", "seurat_connectivities"]
)
def test_a_graph_without_distances_gets_them_from_its_weights(name):
    adata = cells()
    weights = linked(distances())
    weights.data = np.linspace(0.1, 1, weights.nnz)
    weights.setdiag(1)
    adata.obsp[name] = sparse.csr_matrix(weights)
    out = stored(adata)
    assert_equal(out.obsp[keys.CONNECTIVITIES], adata.obsp[name])
    found = out.obsp[keys.DISTANCES]
    assert found.diagonal().max() == 0
    assert found.data.min() > 0
    for cell in range(N_CELLS):
        near, weight = found[cell].toarray().ravel(), weights[cell].toarray().ravel()
        of_cell = (weight > 0) & (np.arange(N_CELLS) != cell)
        assert set(np.flatnonzero(near)) == set(np.flatnonzero(of_cell))
        assert near[of_cell].argmin() == weight[of_cell].argmax()


def test_a_graph_without_connectivities_links_neighbours_both_ways():
    adata = cells()
    adata.obsp["distances"] = distances()
    assert_equal(stored(adata).obsp[keys.CONNECTIVITIES], linked(distances()))


def test_similarities_that_are_called_distances_are_told_by_their_diagonal():
    adata = cells()
    weights = linked(distances())
    weights.setdiag(1)
    adata.obsp["distances"] = sparse.csr_matrix(weights)
    out = stored(adata)
    assert_equal(out.obsp[keys.CONNECTIVITIES], adata.obsp["distances"])
    assert out.obsp[keys.DISTANCES].diagonal().max() == 0


def test_a_graph_of_which_few_cells_have_few_neighbours_is_whole():
    """BBKNN leaves such graphs."""
    adata = with_graph(cells())
    rows = adata.obsp["distances"].tolil()
    for cell in range(0, N_CELLS, 9):
        rows[cell, adata.obsp["distances"][cell].indices[2:]] = 0
    adata.obsp["distances"] = sparse.csr_matrix(rows)
    adata.uns["neighbors"]["params"]["n_neighbors"] = N_NEIGHBORS
    assert compared(adata).graph is not None
    assert compared(adata).rejected == ()
    assert graphs.has_complete_graph(adata)


def test_a_graph_that_lost_cells_is_not_whole():
    adata = with_graph(cells(X_pca=coordinates()))[::2].copy()
    found = compared(adata)
    assert found.representation == "X_pca"
    assert "cells are taken out" in found.rejected[0]
    assert not graphs.has_complete_graph(adata)
    del adata.uns["neighbors"]
    assert compared(adata).graph is None


def test_cells_without_neighbours_are_counted_and_none_is_said_to_be_taken_out():
    adata = with_graph(cells(X_pca=coordinates(), X_scVI=coordinates()))
    rows = adata.obsp["distances"].tolil()
    rows[[5, 6]] = 0
    adata.obsp["distances"] = sparse.csr_matrix(rows)
    found = compared(adata)
    assert found.representation == "X_scVI"
    assert "2 cells of 60 have no neighbour" in found.rejected[0]
    assert "taken out" not in found.rejected[0]


def test_a_graph_with_values_that_are_no_distances_is_not_used():
    adata = with_graph(cells())
    adata.obsp["distances"].data[3] = np.nan
    assert "NaN" in compared(adata).rejected[0]


@pytest.mark.parametrize("name", ["spatial_", "cnv_neighbors_", "ATAC_"])
def test_graphs_of_something_else_than_expression_are_used_only_when_named(name):
    adata = with_graph(cells(X_pca=coordinates()), name, uns=f"{name}graph")
    assert compared(adata).representation == "X_pca"
    assert compared(adata, compare_in=f"{name}graph").graph.distances == f"{name}distances"
    assert compared(adata, compare_in=f"{name}connectivities").graph.name == f"{name}graph"


@pytest.mark.parametrize("dense", ["all with all", "neighbours"])
def test_a_matrix_of_all_distances_is_no_graph(dense):
    adata = cells(X_pca=coordinates())
    everything = np.linalg.norm(coordinates()[:, None] - coordinates()[None], axis=2)
    adata.obsp["distances"] = everything if dense == "all with all" else distances().toarray()
    assert (compared(adata).graph is None) == (dense == "all with all")


@pytest.mark.parametrize(
    "key",
    [
        "X_pca_harmony", "X_harmony", "harmony_cell_embeddings", "HARMONY", "X_scVI", "X_scANVI", "X_fastMNN", "X_mnn",
        "X_scanorama", "Scanorama", "X_liger", "X_inmf", "X_totalVI", "X_cca", "X_rpca", "X_combat_pca", "X_corrected",
        "X_integrated.cca", "integrated_pca", "corrected_latent", "X_desc", "X_LDVAE", "X_resolVI", "X_emb",
    ],
)  # fmt: skip
def test_an_integrated_representation_comes_before_principal_components(key):
    adata = cells(X_pca=coordinates(), X_umap=coordinates(2), **{key: coordinates(8)})
    assert compared(adata).representation == key
    assert key in compared(adata).sentence
    assert compared(adata, recompute_moments=True).representation == key
    assert compared(adata, compare_in="own").representation is None
    assert compared(adata, compare_in="pca").representation == "X_pca"


@pytest.mark.parametrize(
    "key", ["X_harmony.umap", "X_umap_harmony", "X_scVI_tsne", "X_lsi_harmony", "spatial"]
)
def test_pictures_and_other_modalities_are_no_such_representation(key):
    adata = cells(X_pca=coordinates(), **{key: coordinates(2 + 18 * ("lsi" in key))})
    assert compared(adata).representation == "X_pca"


def test_of_several_representations_one_is_used_and_the_others_are_named():
    adata = cells(X_harmony=coordinates(), X_scVI=coordinates(), X_scANVI=coordinates())
    found = compared(adata)
    assert found.representation == "X_scANVI"
    assert found.others == ("X_scVI", "X_harmony")
    assert "X_harmony" in found.sentence


def test_the_recorded_representation_of_a_broken_graph_comes_first():
    adata = with_graph(cells(X_scVI=coordinates(), X_mine=coordinates()), use_rep="X_mine")[::3].copy()
    assert compared(adata).representation == "X_mine"


def test_the_recorded_representation_is_used_where_the_graph_itself_was_not_kept():
    adata = cells(X_pca=coordinates(), latent=coordinates())
    adata.uns["neighbors"] = {"params": {"use_rep": "latent", "n_neighbors": 15}}
    assert compared(adata).representation == "latent"


@pytest.mark.parametrize("key", ["X_pca", "PCA", "pca_cell_embeddings", "X_PCA"])
def test_principal_components_are_found_in_any_spelling(key):
    adata = cells(**{key: coordinates()})
    assert compared(adata).representation == key
    assert compared(adata, recompute_moments=True).representation is None


def test_coordinates_that_some_cells_lack_are_not_compared_in():
    broken = coordinates()
    broken[3] = np.nan
    adata = cells(X_harmony=broken, X_pca=broken)
    found = compared(adata)
    assert (found.graph, found.representation) == (None, None)
    (rejected,) = found.rejected  # principal components are computed instead, which corrects nothing
    assert "'X_harmony'" in rejected
    assert "1 cell" in rejected


@pytest.mark.parametrize(
    "key", ["X_uncorrected", "Unintegrated", "X_pca_before_harmony", "X_pca_no_integration"]
)
def test_what_was_there_before_the_integration_is_not_compared_in(key):
    assert compared(cells(X_pca=coordinates(), **{key: coordinates()})).representation == "X_pca"
    adata = cells()
    adata.obsp["unintegrated_snn"], adata.obsp["integrated_snn"] = (
        linked(distances(seed=1)),
        linked(distances()),
    )
    assert compared(adata).graph.name == "integrated_snn"


def test_a_representation_of_unknown_origin_is_named_beside_principal_components():
    found = compared(cells(X_pca=coordinates(), X_mine=coordinates(), X_picture=coordinates(2)))
    assert found.representation == "X_pca"
    assert found.others == ("X_mine",)


def test_moments_computed_anew_do_not_use_the_old_graph_unless_it_is_named():
    adata = with_graph(cells(X_pca=coordinates()))
    assert compared(adata, recompute_moments=True) == graphs.ComparisonSpace()
    for name in ("graph", "neighbors", "distances"):
        assert compared(adata, recompute_moments=True, compare_in=name).graph is not None


def test_the_name_of_a_graph_is_taken_in_any_spelling():
    assert compared(with_graph(cells(), "wnn_", uns="wnn"), compare_in="WNN").graph.name == "wnn"


@pytest.mark.parametrize("name", ["X_harmony", "harmony", "HARMONY", "X_mine", "mine"])
def test_a_name_is_taken_in_any_spelling(name):
    adata = with_graph(cells(X_harmony=coordinates(), X_mine=coordinates()))
    assert compared(adata, compare_in=name).representation.lower().endswith(name.lower().removeprefix("x_"))


@pytest.mark.parametrize(("name", "found"), [("X_scvi", "X_pca"), ("wnn", "X_pca"), ("graph", "own")])
def test_what_is_not_there_is_refused_and_what_is_there_is_named(name, found):
    with pytest.raises(InputError, match=found):
        compared(cells(X_pca=coordinates()), compare_in=name)


@pytest.mark.parametrize("name", ["graph", "neighbors"])
def test_a_broken_graph_that_was_asked_for_is_refused(name):
    adata = with_graph(cells(X_pca=coordinates()))[::2].copy()
    with pytest.raises(InputError, match="taken out"):
        compared(adata, compare_in=name)


def test_everything_to_choose_from_is_listed():
    adata = with_graph(cells(X_pca=coordinates(), X_umap=coordinates(2), X_scVI=coordinates()))
    assert graphs.options(adata) == ["auto", "graph", "own", "neighbors", "X_scVI", "X_pca"]
    assert graphs.options(cells()) == ["auto", "own"]
    for name in graphs.options(adata):
        compared(adata, compare_in=name)


def test_settings_that_a_converter_stored_as_arrays_of_one_are_read():
    adata = with_graph(cells(X_mine=coordinates()), "wnn_", use_rep="X_mine")
    entry = adata.uns["neighbors"]
    entry["params"] = {name: np.array([value]) for name, value in entry["params"].items()}
    for kind in ("distances", "connectivities"):
        entry[f"{kind}_key"] = np.array([f"wnn_{kind}"], dtype=object)
    graph = compared(adata).graph
    assert (graph.distances, graph.connectivities) == ("wnn_distances", "wnn_connectivities")
    assert graph.n_neighbors == N_NEIGHBORS + 1
    assert compared(adata[::3].copy()).representation == "X_mine"


def test_a_graph_of_no_cells_is_not_used():
    adata = with_graph(cells(X_pca=coordinates()))[:0].copy()
    assert compared(adata).graph is None
    assert not graphs.has_complete_graph(adata)
    assert checks.summarize(adata).n_cells == 0


@pytest.mark.parametrize(
    "params", [None, "umap", {"n_neighbors": "9" * 5000}, {"n_neighbors": np.nan}, {"n_neighbors": -3}]
)
def test_a_record_that_is_none_is_written_anew(params):
    distances = kneighbors_graph(np.arange(20.0)[:, None], 4, mode="distance")
    assert graphs.neighbors_entry(distances, params)["params"]["n_neighbors"] == 5
    assert graphs.neighbors_entry(distances, {"n_neighbors": 7, "metric": "cosine"})["params"] == {
        "method": "umap", "n_neighbors": 7, "metric": "cosine",
    }  # fmt: skip
