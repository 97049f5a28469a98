from __future__ import annotations

import itertools
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scvelo as scv
import zarr
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

from deepvelo import checks, keys
from deepvelo.arrays import matrices
from deepvelo.config import Settings, ablation, replace
from deepvelo.errors import InputError
from deepvelo.io import read, write_h5ad
from deepvelo.io.formats import anndata_groups
from deepvelo.pp.prepare import chosen_basis, chosen_cluster_key, prepare

N_CELLS, N_GENES = 40, 30
SETTINGS = replace(
    Settings(),
    {
        "preparation": {"min_shared_counts": 1, "n_components": 4, "n_neighbors": 5, "n_top_genes": 1000},
        "graph": {"n_neighbors": 4, "n_candidates": 6},
    },
)
AGAIN = replace(SETTINGS, {"preparation": {"recompute_moments": True}})
IN_OWN_GRAPH = "Cells are compared in the neighbour graph 'neighbors' that came with the data."


def counted(dtype: str = "int64", *, as_sparse: bool = True) -> ad.AnnData:
    """Counts that bring neighbours, groups and an embedding, so that nothing slow has to be computed."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(2, 1, size=(N_CELLS, N_GENES)) * rng.gamma(2, 1, size=(N_CELLS, 1))
    wrap = sparse.csr_matrix if as_sparse else np.asarray
    spliced, unspliced = (wrap(rng.poisson(depth * rate).astype(dtype)) for depth in (4, 1))
    adata = ad.AnnData(layers={"spliced": spliced, "unspliced": unspliced}, shape=(N_CELLS, N_GENES))
    adata.obs_names = [f"cell{i}" for i in range(N_CELLS)]
    adata.var_names = [f"gene{i}" for i in range(N_GENES)]
    adata.obs["clusters"] = pd.Categorical(np.where(np.arange(N_CELLS) % 3, "neuron", "glia"))
    adata.obsm["X_umap"] = rng.normal(size=(N_CELLS, 2))
    adata.obsm["X_pca"] = rng.normal(size=(N_CELLS, 6))
    distances = kneighbors_graph(adata.obsm["X_pca"], 5, mode="distance")
    adata.obsp["distances"] = distances
    adata.obsp["connectivities"] = sparse.csr_matrix(distances + distances.T > 0, dtype="float32")
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities", "distances_key": "distances",
        "params": {"n_neighbors": 6, "method": "umap"},
    }  # fmt: skip
    return adata


def with_moments() -> ad.AnnData:
    adata = counted()
    adata.X = adata.layers["spliced"].astype("float32")
    adata.layers["Ms"] = adata.layers["spliced"].toarray() / 3
    adata.layers["Mu"] = adata.layers["unspliced"].toarray() / 3
    return adata


def dense(adata: ad.AnnData, layer: str) -> np.ndarray:
    return np.asarray(
        adata.layers[layer].todense() if sparse.issparse(adata.layers[layer]) else adata.layers[layer]
    )


def moments_by_hand(
    adata: ad.AnnData, layer: str, *, normalize: bool = True, size_factors: str = "cell"
) -> np.ndarray:
    counts = dense(adata, layer)
    if normalize:
        counted_in = (layer,) if size_factors == "layer" else ("spliced", "unspliced")
        sizes = sum(dense(adata, name).sum(axis=1, dtype=float) for name in counted_in)
        counts = counts * (np.median(sizes) / sizes)[:, None]
    answer = np.zeros(counts.shape)
    for i in range(adata.n_obs):
        near = set(adata.obsp["connectivities"][i].indices) | {i}
        answer[i] = np.mean([counts[j] for j in near], axis=0)
    return answer


@pytest.mark.parametrize("as_sparse", [True, False], ids=["sparse", "dense"])
@pytest.mark.parametrize("dtype", ["int64", "float32"])
@pytest.mark.parametrize("size_factors", ["cell", "layer"])
def test_moments_are_means_of_normalised_counts_over_neighbours(dtype, as_sparse, size_factors):
    adata = counted(dtype, as_sparse=as_sparse)
    with ablation(size_factors=size_factors):
        out = prepare(adata, SETTINGS)
    for key, layer in (("Ms", "spliced"), ("Mu", "unspliced")):
        assert isinstance(out.layers[key], np.ndarray)
        assert out.layers[key].dtype == np.float32
        expected = moments_by_hand(adata, layer, size_factors=size_factors)
        np.testing.assert_allclose(out.layers[key], expected, rtol=1e-5)
        raw = adata.layers[layer].toarray() if as_sparse else adata.layers[layer]
        assert out.layers[layer].format == "csr"
        np.testing.assert_array_equal(out.layers[layer].toarray(), raw)


def test_total_counts_over_all_genes_are_kept_where_layers_are_counts():
    adata = counted()
    out = prepare(adata, replace(SETTINGS, {"preparation": {"n_top_genes": 10}}))
    assert out.n_vars == 10
    for key, layer in zip(keys.INITIAL_SIZES, ("spliced", "unspliced"), strict=True):
        np.testing.assert_array_equal(out.obs[key], np.ravel(adata.layers[layer].sum(axis=1)))


def test_layers_that_are_no_counts_are_not_normalised_again():
    adata = counted("float32")
    for layer in ("spliced", "unspliced"):
        counts = adata.layers[layer]
        adata.layers[layer] = sparse.csr_matrix(counts.multiply(100 / counts.sum(axis=1)))
    out = prepare(adata, SETTINGS)
    np.testing.assert_allclose(
        out.layers["Ms"], moments_by_hand(adata, "spliced", normalize=False), rtol=1e-5
    )
    assert any("already normalised" in note for note in out.uns[keys.NOTES])
    assert not set(keys.INITIAL_SIZES) & set(out.obs)


def test_cells_are_compared_in_unspliced_counts_too():
    """Two kinds of cells that differ in unspliced RNA alone: neighbours are of one kind only where it counts."""
    adata = counted()
    rng = np.random.default_rng(0)
    shape = adata.shape
    kind = np.arange(N_CELLS) % 2
    adata.layers["spliced"] = sparse.csr_matrix(rng.poisson(20.0, shape))
    odd_genes = np.arange(shape[1]) % 2
    adata.layers["unspliced"] = sparse.csr_matrix(
        rng.poisson(np.where(kind[:, None] == odd_genes, 16.0, 4.0))
    )
    of_own_kind = {}
    for compared in ("both", "spliced"):
        with ablation(neighbors_from=compared):
            near = prepare(adata, AGAIN).obsp["distances"].tocoo()
        of_own_kind[compared] = np.mean(kind[near.row] == kind[near.col])
    assert of_own_kind["both"] == 1
    assert of_own_kind["spliced"] < 0.8


@pytest.mark.slow
def test_components_of_many_cells_are_scanpys(monkeypatch):
    """Of many cells they come from sums over the cells; scanpy finds them by going through the counts again and again."""
    from deepvelo.model.graph import cell_graph as graph

    rng = np.random.default_rng(0)
    states = rng.gamma(1, 1, size=(200, 3)) @ rng.gamma(1, 1, size=(3, 30))
    adata = ad.AnnData(
        layers={
            keys.SPLICED: sparse.csr_matrix(rng.poisson(10 * states), dtype=np.float32),
            keys.UNSPLICED: sparse.csr_matrix(rng.poisson(5 * states), dtype=np.float32),
        }
    )
    settings = replace(Settings(), {"preparation": {"n_components": 3, "min_shared_counts": 0}})
    assert graph.sums_up((200, 60))
    summed = prepare(adata, settings)
    monkeypatch.setattr(graph, "sums_up", lambda shape: False)
    scanpys = prepare(adata, settings)
    np.testing.assert_allclose(summed.obsm[keys.X_PCA], scanpys.obsm[keys.X_PCA], atol=1e-4)
    np.testing.assert_allclose(summed.layers[keys.MS], scanpys.layers[keys.MS], atol=1e-5)


@pytest.mark.parametrize("neighbors_from", ["spliced", "both"])
def test_counts_that_are_not_stored_in_order_stay_with_their_genes(neighbors_from):
    tidy, untidy = counted(), counted()
    for key in (keys.SPLICED, keys.UNSPLICED):
        counts = tidy.layers[key]
        backwards = np.concatenate([np.arange(*ends)[::-1] for ends in itertools.pairwise(counts.indptr)])
        parts = counts.data[backwards], counts.indices[backwards], counts.indptr.copy()
        untidy.layers[key] = sparse.csr_matrix(parts, shape=counts.shape)
        assert not untidy.layers[key].has_sorted_indices
    with ablation(neighbors_from=neighbors_from):
        expected, found = prepare(tidy, SETTINGS), prepare(untidy, SETTINGS)
    for key in (keys.SPLICED, keys.UNSPLICED):
        np.testing.assert_array_equal(found.layers[key].toarray(), expected.layers[key].toarray())
    np.testing.assert_allclose(found.layers[keys.MS], expected.layers[keys.MS], rtol=1e-6)


@pytest.mark.parametrize("brought", [False, True])
def test_moments_can_lie_on_disk(tmp_path, brought):
    given = prepare(counted(), SETTINGS) if brought else counted()
    on_disk, in_memory = prepare(given, SETTINGS, scratch=tmp_path), prepare(given, SETTINGS)
    for key in (keys.MS, keys.MU):
        assert isinstance(on_disk.layers[key], zarr.Array)
        np.testing.assert_array_equal(on_disk.layers[key][:], in_memory.layers[key])


def test_depth_of_a_cell_does_not_matter():
    adata = counted()
    deeper = adata.copy()
    factor = sparse.diags(np.arange(N_CELLS) % 3 + 1)
    for layer in ("spliced", "unspliced"):
        deeper.layers[layer] = sparse.csr_matrix(factor @ adata.layers[layer])
    first, second = prepare(adata, SETTINGS).layers["Ms"], prepare(deeper, SETTINGS).layers["Ms"]
    np.testing.assert_allclose(second / second.sum(), first / first.sum(), rtol=1e-4)


def test_genes_are_filtered_and_the_most_variable_kept():
    adata = counted()
    dense = adata.layers["spliced"].toarray()
    dense[:, :3] = 0  # no counts, so none shared
    dense[:, 3] = np.where(np.arange(N_CELLS) % 2, 400, 0)  # far more variable than the rest
    adata.layers["spliced"] = sparse.csr_matrix(dense)
    out = prepare(adata, replace(SETTINGS, {"preparation": {"n_top_genes": 10, "min_shared_counts": 20}}))
    assert out.n_vars == 10
    assert "gene3" in out.var_names
    assert not set(out.var_names) & {"gene0", "gene1", "gene2"}
    assert out.var_names.equals(adata.var_names[adata.var_names.isin(out.var_names)]), "order kept"
    assert (
        "27 of 30 genes have at least 20 shared counts; the 10 most variable of these were used and 20 were left out."
        in out.uns[keys.NOTES]
    )
    np.testing.assert_allclose(
        out.layers["Ms"][:, 0], moments_by_hand(adata, "spliced")[:, adata.var_names.get_loc(out.var_names[0])],
        rtol=1e-5, err_msg="cell sizes count all genes, not the chosen ones",
    )  # fmt: skip


def test_cell_without_counts_takes_its_neighbours_mean():
    adata = counted()
    keep = sparse.diags((np.arange(N_CELLS) != 7).astype(int))
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = sparse.csr_matrix(keep @ adata.layers[layer])
    out = prepare(adata, SETTINGS)
    assert out.n_obs == N_CELLS
    assert np.isfinite(out.layers["Ms"]).all()
    assert out.layers["Ms"][7].sum() > 0


def test_what_the_object_brings_is_kept():
    adata = with_moments()
    adata.uns["clusters_colors"] = ["#111111", "#222222"]
    out = prepare(adata, SETTINGS)
    for key in ("Ms", "Mu"):
        np.testing.assert_array_equal(out.layers[key], adata.layers[key].astype("float32"))
    for key in ("X_umap", "X_pca"):
        np.testing.assert_array_equal(out.obsm[key], adata.obsm[key])
    assert (out.obsp["connectivities"] != adata.obsp["connectivities"]).nnz == 0
    assert list(out.obs["clusters"]) == list(adata.obs["clusters"])
    assert list(out.uns["clusters_colors"]) == ["#111111", "#222222"]
    assert out.var_names.equals(adata.var_names)
    assert out.uns[keys.NOTES] == [IN_OWN_GRAPH]


def test_only_genes_without_values_are_lost_and_that_is_said():
    adata = with_moments()
    adata.layers["Ms"][0, 4] = np.nan
    adata.layers["Mu"][3, 5] = np.inf
    adata.layers["Ms"][:, 6] = adata.layers["Mu"][:, 6] = 0
    out = prepare(adata, SETTINGS)
    assert set(adata.var_names) - set(out.var_names) == {"gene4", "gene5", "gene6"}
    assert out.uns[keys.NOTES] == [
        "2 genes with moments that are NaN or infinite left out.",
        "1 gene without any count left out.",
        IN_OWN_GRAPH,
    ]


def test_results_of_an_earlier_fit_are_left_out():
    adata = with_moments()
    for key in ("velocity", "velocity_u", "cell_specific_beta", "fit_t"):
        adata.layers[key] = adata.layers["Ms"]
    adata.obs["root_cells"], adata.obs["velocity_pseudotime"] = 0.5, 0.5
    adata.obs["plate"] = "p1"
    adata.var["velocity_genes"] = True
    adata.obsm["velocity_umap"] = adata.obsm["X_umap"]
    adata.uns["velocity_graph"] = sparse.eye(N_CELLS, format="csr")
    adata.uns["velocity_params"] = {"mode": "dynamical"}
    out = prepare(adata, SETTINGS)
    assert set(out.layers) == {"spliced", "unspliced", "Ms", "Mu"}
    assert set(out.obs) == {"clusters", "plate"}
    assert set(out.obsm) == {"X_umap", "X_pca"}
    assert "velocity_genes" not in out.var
    assert not {"velocity_graph", "velocity_params"} & set(out.uns)


@pytest.mark.parametrize(
    ("make", "settings"), [(counted, SETTINGS), (with_moments, SETTINGS), (with_moments, AGAIN)]
)
def test_the_callers_object_is_never_changed(make, settings, monkeypatch):
    if settings is AGAIN:
        monkeypatch.setattr(sc.pp, "neighbors", lambda out, **_: restore_neighbors(out))
    adata, twin = make(), make()
    adata.obs["clusters"] = twin.obs["clusters"] = ["a", "b"] * (N_CELLS // 2)
    adata.uns["clusters_colors"] = twin.uns["clusters_colors"] = ["red", "blue"]
    out = prepare(adata, settings)
    for layer in out.layers.values():
        (layer.data if sparse.issparse(layer) else layer)[:] = -1
    for values in out.obsm.values():
        values[:] = -1
    out.obsp["connectivities"].data[:] = -1
    out.uns["neighbors"]["params"]["n_neighbors"] = -1
    out.obs["clusters"] = "gone"
    assert str(adata) == str(twin)
    for key in twin.layers:
        left, right = (np.asarray(sparse.csr_matrix(a.layers[key]).todense()) for a in (adata, twin))
        np.testing.assert_array_equal(left, right, err_msg=key)
    for key in twin.obsm:
        np.testing.assert_array_equal(adata.obsm[key], twin.obsm[key])
    assert (adata.obsp["connectivities"] != twin.obsp["connectivities"]).nnz == 0
    assert adata.uns["neighbors"]["params"]["n_neighbors"] == 6
    pd.testing.assert_frame_equal(adata.obs, twin.obs)
    assert adata.uns["clusters_colors"] == ["red", "blue"]


def of_two_batches() -> ad.AnnData:
    """A batch effect in the counts and in ``X_pca``, none in ``X_pca_harmony``; no neighbours."""
    adata = counted()
    batch = np.arange(N_CELLS) % 2
    state = np.arange(N_CELLS)[:, None] / N_CELLS
    rng = np.random.default_rng(2)
    adata.obs["batch"] = pd.Categorical(batch.astype(str))
    adata.obsm["X_pca"] = 10.0 * batch[:, None] + rng.normal(0, 0.1, size=(N_CELLS, 6)) + state
    adata.obsm["X_pca_harmony"] = 10 * state + rng.normal(0, 0.1, size=(N_CELLS, 6))
    del adata.obsp["distances"], adata.obsp["connectivities"], adata.uns["neighbors"]
    return adata


@pytest.mark.parametrize(
    ("chosen", "mixed"),
    [
        ({}, True),
        ({"compare_in": "pca_harmony"}, True),
        ({"recompute_moments": True}, True),
        ({"compare_in": "X_pca"}, False),
    ],
)
def test_cells_are_compared_where_they_were_integrated(chosen, mixed):
    adata = of_two_batches()
    out = prepare(adata, replace(SETTINGS, {"preparation": chosen}))
    near, batch = out.obsp["distances"].tocoo(), out.obs["batch"].to_numpy()
    of_other = np.mean(batch[near.row] != batch[near.col])
    assert of_other > 0.35 if mixed else of_other == 0
    assert any("X_pca_harmony" in note for note in out.uns[keys.NOTES]) == mixed
    np.testing.assert_array_equal(out.obsm["X_pca_harmony"], adata.obsm["X_pca_harmony"])
    np.testing.assert_allclose(
        out.layers["Ms"], moments_by_hand(adata_with(out, adata), "spliced"), rtol=1e-5
    )


def adata_with(out: ad.AnnData, adata: ad.AnnData) -> ad.AnnData:
    adata.obsp["connectivities"] = out.obsp["connectivities"]
    return adata


def test_a_graph_under_other_names_makes_the_moments():
    adata = counted()
    expected = prepare(adata, SETTINGS)
    for key in ("distances", "connectivities"):
        adata.obsp[f"wnn_{key}"] = adata.obsp.pop(key)
    adata.uns["wnn"] = {
        key: f"wnn_{key.removesuffix('_key')}" for key in ("distances_key", "connectivities_key")
    }
    del adata.uns["neighbors"]
    found = prepare(adata, SETTINGS)
    np.testing.assert_array_equal(found.layers["Ms"], expected.layers["Ms"])
    assert (found.obsp["distances"] != adata.obsp["wnn_distances"]).nnz == 0
    neighbors = found.uns["neighbors"]
    assert neighbors["distances_key"] == "distances"
    assert neighbors["params"]["n_neighbors"] == 6


def test_few_genes_lower_the_components_and_that_is_said():
    out = prepare(counted(), replace(AGAIN, {"preparation": {"n_components": 70}}))
    assert out.obsm["X_pca"].shape[1] == N_CELLS - 1
    (lowered,) = [note for note in out.uns[keys.NOTES] if "is lowered" in note]
    assert f"70 to {N_GENES}" in lowered  # of moments, which candidates are found in, there are fewer still


def test_a_picture_in_columns_is_kept_and_nothing_takes_its_place():
    adata = counted()
    adata.obs["UMAP_1"], adata.obs["UMAP_2"] = adata.obsm.pop("X_umap").T
    out = prepare(adata, SETTINGS, basis="UMAP")
    assert chosen_basis(out, None) == "umap"
    np.testing.assert_array_equal(out.obsm["X_umap"], adata.obs[["UMAP_1", "UMAP_2"]])
    assert "X_umap" not in adata.obsm


def restore_neighbors(out: ad.AnnData) -> None:
    source = counted()
    for key in ("connectivities", "distances"):
        out.obsp[key] = source.obsp[key]
    out.uns["neighbors"] = source.uns["neighbors"]


def test_duplicate_names_are_made_unique_and_said():
    adata = counted()
    adata.var_names = ["gene1", *adata.var_names[1:]]
    out = prepare(adata, SETTINGS)
    assert out.var_names.is_unique
    assert not adata.var_names.is_unique
    assert any(note.startswith("Duplicate gene names (1: 'gene1')") for note in out.uns[keys.NOTES])


def test_notes_of_reading_stay():
    adata = counted()
    adata.uns[keys.NOTES] = ["Read with care."]
    assert prepare(adata, SETTINGS).uns[keys.NOTES][0] == "Read with care."


def test_unusable_data_are_refused_before_any_work():
    adata = counted()
    del adata.layers["unspliced"]
    with pytest.raises(InputError, match="no 'unspliced' layer"):
        prepare(adata, SETTINGS)
    with pytest.raises(InputError, match="no grouping 'stage'"):
        prepare(counted(), SETTINGS, cluster_key="stage")


@pytest.mark.parametrize("name", ["cells.h5ad", pytest.param("cells.zarr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [counted, with_moments, lambda: counted(as_sparse=False)])
def test_from_a_file_the_answer_is_that_from_memory(tmp_path, monkeypatch, name, make):
    for module in (matrices, anndata_groups):
        monkeypatch.setattr(module, "BLOCK_CELLS", 16)
    adata = make()
    adata.write_h5ad(tmp_path / name) if name.endswith("h5ad") else adata.write_zarr(tmp_path / name)
    whole = read(tmp_path / name)
    monkeypatch.setattr(anndata_groups, "SHARE_IN_MEMORY", 0)
    lazy = read(tmp_path / name, lazy_if_large=True)
    assert all(matrices.is_lazy(layer) for layer in lazy.layers.values())
    assert checks.summarize(lazy) == checks.summarize(whole)
    settings = replace(SETTINGS, {"preparation": {"n_top_genes": 12}})
    found, expected = prepare(lazy, settings), prepare(whole, settings)
    assert list(found.var_names) == list(expected.var_names)
    assert set(found.layers) == {"spliced", "unspliced", "Ms", "Mu"}
    for key, layer in expected.layers.items():
        assert type(found.layers[key]) is type(layer)
        np.testing.assert_array_equal(dense(found, key), dense(expected, key))
    np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())


@pytest.mark.parametrize(
    ("columns", "given", "expected"),
    [
        ({"clusters": "text", "leiden": "text"}, None, "clusters"),
        ({"CellType": "text", "batch": "text"}, None, "CellType"),
        ({"leiden": "text"}, None, "leiden"),
        ({"batch": "text"}, None, "leiden"),
        ({"clusters": "numbers", "cell_type": "text"}, None, "cell_type"),
        ({"clusters": "text", "batch": "text"}, "batch", "batch"),
        ({}, None, "leiden"),
    ],
)
def test_the_grouping_is_the_one_named_like_cell_types(columns, given, expected):
    adata = ad.AnnData(np.zeros((6, 2), dtype="float32"))
    for name, kind in columns.items():
        adata.obs[name] = ["a", "b", "c"] * 2 if kind == "text" else np.linspace(0, 1, 6)
    assert chosen_cluster_key(adata, given) == expected


def test_a_column_called_like_groups_that_is_none_stays_and_that_is_said():
    adata = counted()
    adata.obs = pd.DataFrame({"leiden": np.linspace(0, 1, N_CELLS)}, index=adata.obs_names)
    out = prepare(adata, SETTINGS)
    assert out.obs["leiden"].dtype.kind == "f"
    assert any("'leiden'" in note and "'deepvelo_leiden'" in note for note in out.uns[keys.NOTES])


@pytest.mark.parametrize(
    "groups", [["0"] * N_CELLS, [str(n) for n in range(N_CELLS)]], ids=["one", "each its own"]
)
def test_computed_groups_are_the_grouping_however_many_they_are(monkeypatch, groups):
    adata = counted()
    del adata.obs["clusters"]
    monkeypatch.setattr(
        "scanpy.tl.leiden", lambda out, key_added, **_: out.obs.insert(0, key_added, pd.Categorical(groups))
    )
    out = prepare(adata, SETTINGS)
    assert chosen_cluster_key(out, None) == "leiden"


def test_a_diffusion_map_without_its_eigenvalues_is_kept_and_nothing_fails():
    adata = of_two_batches()
    adata.obsm["X_diffmap"] = np.random.default_rng(3).normal(size=(N_CELLS, 5))
    out = prepare(adata, SETTINGS)
    np.testing.assert_array_equal(out.obsm["X_diffmap"], adata.obsm["X_diffmap"])
    assert out.uns["neighbors"]["params"]["use_rep"] == "X_pca_harmony"
    alone = prepare(of_two_batches(), SETTINGS)
    np.testing.assert_array_equal(out.obsp["distances"].toarray(), alone.obsp["distances"].toarray())


@pytest.mark.parametrize(
    ("found", "given", "expected"),
    [
        (["X_pca", "X_tsne", "X_umap"], None, "umap"),
        (["X_fa", "X_tsne"], None, "tsne"),
        (["X_diffmap", "X_fa"], None, "fa"),
        (["X_pca"], None, "umap"),
        (["X_umap", "X_fa"], "X_fa", "fa"),
    ],
)
def test_the_embedding_is_one_made_to_be_looked_at(found, given, expected):
    adata = ad.AnnData(np.zeros((6, 2), dtype="float32"), obsm={key: np.ones((6, 2)) for key in found})
    assert chosen_basis(adata, given) == expected


def test_real_moments_stay_as_they_are(shared_data):
    adata = read(shared_data / "dentate_gyrus_200.h5ad")
    out = prepare(adata, Settings(), cluster_key="clusters")
    assert out.shape == (200, 530)
    assert "Tmsb10" in out.var_names
    np.testing.assert_array_equal(out.layers["Ms"], adata.layers["Ms"])
    np.testing.assert_array_equal(out.obsm["X_umap"], adata.obsm["X_umap"])
    assert list(out.uns["clusters_colors"]) == list(adata.uns["clusters_colors"])
    assert "velocity_graph" not in out.uns


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> ad.AnnData:
    return read(shared_data / "dentate_gyrus_raw_100.h5ad")


@pytest.fixture(scope="module")
def raw_prepared(raw: ad.AnnData) -> ad.AnnData:
    return prepare(raw, Settings())


@pytest.mark.slow
def test_real_counts_get_everything_a_fit_needs(raw_prepared, tmp_path):
    out = raw_prepared
    assert out.n_obs == 100
    assert {"X_pca", "X_umap"} <= set(out.obsm)
    assert out.obsm["X_pca"].shape == (100, 20)
    assert out.obs["leiden"].nunique() >= 2
    assert checks.has_neighbors(out)
    assert out.uns["neighbors"]["params"]["n_neighbors"] == 30
    checks.require_fit(out, Settings(), cluster_key="leiden", basis="umap")
    write_h5ad(out, tmp_path / "out.h5ad")
    np.testing.assert_array_equal(read(tmp_path / "out.h5ad").layers["Ms"], out.layers["Ms"])


@pytest.mark.slow
def test_real_moments_are_scvelos(raw):
    scv.settings.verbosity = 0
    with ablation(size_factors="layer"):
        raw_prepared = prepare(raw, Settings())
    expected = raw.copy()
    scv.pp.filter_and_normalize(expected, min_shared_counts=20)
    assert list(expected.var_names) == list(raw_prepared.var_names)
    for key in ("connectivities", "distances"):
        expected.obsp[key] = raw_prepared.obsp[key]
    expected.uns["neighbors"] = raw_prepared.uns["neighbors"]
    scv.pp.moments(expected, n_neighbors=None)
    for key in ("Ms", "Mu"):
        np.testing.assert_allclose(raw_prepared.layers[key], expected.layers[key], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_scvelo_takes_the_prepared_object_as_it_is(raw_prepared):
    scv.settings.verbosity = 0
    adata = raw_prepared.copy()
    scv.tl.velocity(adata, mode="deterministic")
    scv.tl.velocity_graph(adata, n_jobs=1, show_progress_bar=False)
    scv.tl.velocity_embedding(adata, basis="umap")
    assert np.isfinite(adata.obsm["velocity_umap"]).all()


@pytest.mark.slow
def test_same_seed_same_answer(raw, raw_prepared):
    again = prepare(raw, Settings())
    for key in ("Ms", "Mu"):
        np.testing.assert_array_equal(again.layers[key], raw_prepared.layers[key])
    for key in ("X_pca", "X_umap"):
        np.testing.assert_array_equal(again.obsm[key], raw_prepared.obsm[key])
    assert list(again.obs["leiden"]) == list(raw_prepared.obs["leiden"])
    other = prepare(raw, replace(Settings(), {"seed": 1}))
    assert not np.array_equal(other.obsm["X_umap"], raw_prepared.obsm["X_umap"])


@pytest.mark.slow
def test_some_of_the_cells_get_new_neighbours_and_keep_their_moments(shared_data):
    adata = read(shared_data / "dentate_gyrus_200.h5ad")[::3].copy()
    assert not checks.has_neighbors(adata)
    out = prepare(adata, Settings(), cluster_key="age(days)")
    assert checks.has_neighbors(out)
    np.testing.assert_array_equal(out.layers["Ms"], adata.layers["Ms"])
    assert any("cells are taken out" in note for note in out.uns[keys.NOTES])


@pytest.mark.slow
def test_everything_is_computed_anew_on_request(shared_data):
    adata = read(shared_data / "dentate_gyrus_200.h5ad")
    anew = {"recompute_moments": True, "recompute_embedding": True, "n_top_genes": 200, "n_neighbors": 15}
    out = prepare(adata, replace(Settings(), {"preparation": anew}), cluster_key="clusters")
    assert out.n_vars == 200
    assert out.uns["neighbors"]["params"]["n_neighbors"] == 15
    assert not np.array_equal(out.obsm["X_pca"], adata.obsm["X_pca"])
    assert not np.array_equal(out.obsm["X_umap"], adata.obsm["X_umap"])
    assert list(out.obs["clusters"]) == list(adata.obs["clusters"])
