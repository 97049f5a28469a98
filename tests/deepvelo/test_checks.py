from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvelo as scv
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

from deepvelo import checks, keys
from deepvelo.arrays import matrices
from deepvelo.config import Settings, replace
from deepvelo.errors import InputError
from deepvelo.io import read

SETTINGS = replace(
    Settings(),
    {
        "preparation": {"min_shared_counts": 1, "n_components": 3, "n_neighbors": 5},
        "graph": {"n_neighbors": 4, "n_candidates": 6},
    },
)


def cells(n_cells: int = 20, n_genes: int = 8, *, as_sparse: bool = True) -> ad.AnnData:
    rng = np.random.default_rng(0)
    wrap = sparse.csr_matrix if as_sparse else np.asarray
    spliced = rng.poisson(4, size=(n_cells, n_genes)).astype("float32")
    unspliced = rng.poisson(1, size=(n_cells, n_genes)).astype("float32")
    spliced[0], unspliced[0] = 5, 2  # every gene is seen
    spliced[:, 0], unspliced[:, 0] = 3, 1  # and every cell
    adata = ad.AnnData(wrap(spliced), layers={"spliced": wrap(spliced), "unspliced": wrap(unspliced)})
    adata.obs_names = [f"cell{i}" for i in range(n_cells)]
    adata.var_names = ["Tmsb10", "Cpe", "Sox2", *(f"gene{i}" for i in range(3, n_genes))][:n_genes]
    adata.obs["clusters"] = pd.Categorical(np.where(np.arange(n_cells) % 2, "neuron", "glia"))
    adata.obsm["X_umap"] = rng.normal(size=(n_cells, 2))
    return adata


def add_neighbors(adata: ad.AnnData) -> None:
    distances = kneighbors_graph(adata.obsm["X_pca"], 5, mode="distance")
    adata.obsp["distances"] = distances
    adata.obsp["connectivities"] = sparse.csr_matrix(distances + distances.T > 0, dtype="float32")
    adata.uns["neighbors"] = {"params": {"n_neighbors": 6, "method": "umap"}}


def change(layer: str, value: float, *, as_sparse: bool = True) -> ad.AnnData:
    adata = cells(as_sparse=as_sparse)
    adata.layers[layer][3, 0] = value
    adata.layers[layer][4, 0] = value
    return adata


def without(*layers: str) -> ad.AnnData:
    adata = cells()
    adata.layers["ambiguous"] = adata.layers["spliced"].copy()
    for layer in layers:
        del adata.layers[layer]
    return adata


def with_layer(name: str, layer: object) -> ad.AnnData:
    adata = cells()
    adata.layers[name] = layer
    return adata


def with_obs(values: object) -> ad.AnnData:
    adata = cells()
    adata.obs["stage"] = values
    return adata


WORDS = np.full((20, 8), "many", dtype=object)
NANS = np.full((20, 8), np.nan, dtype="float32")


def with_broken_moments() -> ad.AnnData:
    adata = with_layer("Ms", NANS)
    adata.layers["Mu"] = adata.layers["unspliced"].toarray()
    return adata


@pytest.mark.parametrize("as_sparse", [True, False], ids=["sparse", "dense"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "has 2 values that are NaN or infinite.*set these to zero"),
        (np.inf, "has 2 values that are NaN or infinite.*original file"),
        (-1, "has 2 negative values.*Use raw counts"),
    ],
)
def test_bad_values_are_counted_in_either_storage(value, message, as_sparse):
    for layer in ("spliced", "unspliced"):
        with pytest.raises(InputError, match=f"Layer '{layer}' {message}"):
            checks.require_fit(change(layer, value, as_sparse=as_sparse), SETTINGS)


@pytest.mark.parametrize(
    ("adata", "message"),
    [
        (without("spliced"), "no 'spliced' layer. Found 'ambiguous', 'unspliced'. Join the loom"),
        (without("unspliced"), "no 'unspliced' layer. Found 'ambiguous', 'spliced'. Join the loom"),
        (
            without("spliced", "unspliced", "ambiguous"),
            "no 'spliced' and no 'unspliced' layer. The file has no layers at all. Join",
        ),
        (
            with_layer("spliced", WORDS),
            "Layer 'spliced' does not hold numbers: its type is object.*integers or",
        ),
        (with_layer("unspliced", np.zeros((20, 8))), "Layer 'unspliced' is zero everywhere.*kept apart"),
        (with_layer("spliced", sparse.csr_matrix((20, 8))), "Layer 'spliced' is zero everywhere.*kept apart"),
        (with_broken_moments(), "Layer 'Ms' has no finite value.*Recompute moments"),
        (cells(1), "needs many cells and genes.* Found 1 cell and 8 genes.*whole experiment"),
        (cells(20, 1), "needs many cells and genes.* Found 20 cells and 1 gene\\..*whole experiment"),
    ],
)
def test_unusable_data_say_what_was_found_and_what_to_do(adata, message):
    with pytest.raises(InputError, match=message) as error:
        checks.require_fit(adata, SETTINGS)
    assert "\n" not in str(error.value)
    assert checks.summarize(adata).findings[0].level == "error"


def test_unusable_moments_do_not_matter_when_they_are_recomputed():
    again = replace(SETTINGS, {"preparation": {"recompute_moments": True}})
    checks.require_fit(with_broken_moments(), again)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"preparation": {"n_neighbors": 20}},
            "`preparation.n_neighbors` must be below.*Got 20 for 20 cells",
        ),
        ({"graph": {"n_neighbors": 25}}, "`graph.n_neighbors` must be below.*Got 25 for 20 cells. Lower it"),
        (
            {"graph": {"n_candidates": 30}},
            "`graph.n_candidates` must be below.*Got 30 for 20 cells. Lower it",
        ),
        ({"preparation": {"compare_in": "X_scVI"}}, "nothing called 'X_scVI'.*auto"),
        (
            {"preparation": {"min_shared_counts": 900}},
            r"No gene reaches `preparation.min_shared_counts` = 900: the best of 8 genes has \d+. Lower it",
        ),
    ],
)
def test_settings_that_ask_too_much_are_named(changes, message):
    checks.require_fit(cells(), SETTINGS)
    with pytest.raises(InputError, match=message):
        checks.require_fit(cells(), replace(SETTINGS, changes))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("celltype", "no grouping 'celltype'. Found 'clusters'. Choose one"),
        (
            "alone",
            "Grouping 'alone' has one group \\('all'\\), and two are needed. Choose another of 'clusters'",
        ),
        ("nobody", "Grouping 'nobody' has no group at all"),
        ("depth", "'depth' does not sort cells into groups: it has 20 different values in 20 cells"),
    ],
)
def test_unusable_grouping_lists_the_others(key, message):
    adata = cells()
    adata.obs["alone"], adata.obs["nobody"], adata.obs["depth"] = "all", None, np.linspace(0, 1, 20)
    with pytest.raises(InputError, match=message):
        checks.require_fit(adata, SETTINGS, cluster_key=key)


def test_unknown_embedding_lists_the_others():
    checks.require_fit(cells(), SETTINGS, basis="umap")
    with pytest.raises(InputError, match=r"no embedding 'tsne'\. Found 'umap'\. Choose"):
        checks.require_fit(cells(), SETTINGS, basis="tsne")
    bare = cells()
    del bare.obsm["X_umap"]
    checks.require_fit(bare, SETTINGS, basis="umap")  # will be computed


def test_settings_of_steps_that_are_not_done_do_not_matter():
    """An object that brings moments and neighbours is not prepared again."""
    adata = cells(40)
    adata.layers["Ms"] = adata.layers["spliced"].toarray()
    adata.layers["Mu"] = adata.layers["unspliced"].toarray()
    adata.obsm["X_pca"] = np.random.default_rng(1).normal(size=(40, 5))
    add_neighbors(adata)
    large = {"preparation": {"n_neighbors": 100, "n_components": 100, "min_shared_counts": 1000}}
    checks.require_fit(adata, replace(SETTINGS, large))
    again = replace(replace(SETTINGS, large), {"preparation": {"recompute_moments": True}})
    with pytest.raises(InputError, match=r"preparation.n_neighbors.*Got 100 for 40 cells"):
        checks.require_fit(adata, again)


def test_memory_is_estimated_before_the_start(monkeypatch):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 2**20)
    with pytest.raises(
        InputError, match=r"20 cells and 8 genes needs about 0\.\d GB.*Found 0\.0 GB free. Lower"
    ):
        checks.require_fit(cells(), SETTINGS)
    checks.require_fit(cells(), SETTINGS, here=False)  # another machine's memory is not known here


@pytest.mark.parametrize(
    ("gene", "suggestion"),
    [("tmsb10", "Did you mean 'Tmsb10'?"), ("Sox3", "'Sox2'"), ("Xyzzy", "Check its spelling")],
)
def test_unknown_gene_gets_suggestions(gene, suggestion):
    names = cells().var_names
    assert checks.require_gene(names, "Tmsb10") == "Tmsb10"
    with pytest.raises(InputError, match=f"Gene '{gene}' is not among the 8 genes.*{suggestion}"):
        checks.require_gene(names, gene)


def messages(adata: ad.AnnData) -> str:
    return " | ".join(f"{f.level}: {f.what} {f.remedy}" for f in checks.summarize(adata).findings)


def test_nothing_wrong_is_said_too():
    assert messages(cells()) == "ok: Nothing is missing for a fit. "


def test_cells_and_genes_without_counts_are_told():
    adata = cells()
    for layer in ("spliced", "unspliced"):
        dense = adata.layers[layer].toarray()
        dense[3], dense[:, 2] = 0, 0
        adata.layers[layer] = sparse.csr_matrix(dense)
    checks.require_fit(adata, SETTINGS)
    assert "note: 1 gene without any count. Preparation leaves them out" in messages(adata)
    assert "warning: 1 cell without any count. They are kept" in messages(adata)


def test_logged_x_beside_counts_is_noted():
    adata = cells()
    adata.X = adata.X.log1p()
    assert "note: X looks log-transformed (largest" in messages(adata)
    assert "The layers are used, not X" in messages(adata)


def changed(change) -> ad.AnnData:
    adata = cells(60, 30)
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = sparse.csr_matrix(change(adata.layers[layer].toarray()), dtype="float32")
    return adata


def test_normalised_layers_are_a_warning():
    adata = changed(lambda counts: 1e4 * counts / counts.sum(1, keepdims=True))
    assert "warning: The spliced and unspliced layers hold normalised values, no raw counts" in messages(
        adata
    )
    assert checks.summarize(adata).count_kind == "normalized"
    assert checks.summarize(adata).unspliced_fraction is None


def test_scaled_layers_beside_moments_are_no_counts():
    adata = changed(lambda counts: counts / counts.max())
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray()) * 1.1)
    adata.layers["Ms"], adata.layers["Mu"] = (5 * adata.layers[k].toarray() for k in ("spliced", "unspliced"))
    assert "warning: The spliced and unspliced layers hold scaled values, no raw counts" in messages(adata)
    assert "layers are counts" not in messages(adata)


def test_counts_with_fractions_are_counts():
    adata = changed(lambda counts: counts * np.random.default_rng(0).uniform(0.7, 1, counts.shape))
    assert "note: The counts have fractions" in messages(adata)
    assert checks.summarize(adata).count_kind == "estimated"
    assert 0.1 < checks.summarize(adata).unspliced_fraction < 0.3


@pytest.mark.parametrize(
    ("change", "words"),
    [(np.log1p, "are logarithms"), (lambda counts: counts / counts.max(), "lie between 0 and 1")],
)
def test_layers_that_are_no_amounts_are_an_error(change, words):
    adata = changed(change)
    assert f"error: The spliced and unspliced layers {words}" in messages(adata)
    with pytest.raises(InputError, match=words):
        checks.require_fit(adata, Settings())


def test_duplicate_names_are_a_warning():
    adata = cells()
    adata.var_names = ["Cpe", "Cpe", *adata.var_names[2:]]
    assert "warning: 1 duplicate gene name." in messages(adata)


def test_what_reading_changed_is_told():
    adata = cells()
    adata.uns[keys.NOTES] = ["Duplicate gene names (1: 'Cpe') were made unique."]
    assert "note: Duplicate gene names (1: 'Cpe') were made unique." in messages(adata)


def test_group_of_one_and_cells_without_group_are_warnings():
    adata = with_obs(["rare", *["common"] * 10, *["other"] * 8, None])
    checks.require_fit(adata, SETTINGS, cluster_key="stage")
    assert (
        "Grouping 'stage' has 1 group of a single cell: 'rare'. Such a group gets no consistency"
        in messages(adata)
    )
    assert "Grouping 'stage' leaves out 1 cell. They are shown as 'unassigned'" in messages(adata)


def test_more_groups_than_can_be_told_apart_are_said():
    adata = cells(210, 8)
    adata.obs["clusters"] = pd.Categorical([f"type {i // 2}" for i in range(210)])
    assert "warning: 'clusters' has 105 groups, and there may be at most 100" in messages(adata)
    with pytest.raises(InputError, match=r"'clusters' has 105 groups, .* at most 100\. Merge some"):
        checks.require_grouping(adata, "clusters")


def test_codes_where_names_of_cell_types_should_be_are_a_warning():
    adata = cells()
    adata.obs["celltype"] = np.arange(20) % 3
    assert "warning: Grouping 'celltype' holds numbers" in messages(adata)
    assert "as text" in messages(adata)


def test_swapped_and_identical_layers_are_warnings():
    adata = cells()
    adata.layers["spliced"], adata.layers["unspliced"] = adata.layers["unspliced"], adata.layers["spliced"]
    assert "of the counts are unspliced; 10 to 25% are usual" in messages(adata)
    adata.layers["spliced"] = adata.layers["unspliced"].copy()
    assert "layers are identical" in messages(adata)


def test_graph_of_other_cells_is_noticed():
    adata = cells(40)
    adata.obsm["X_pca"] = np.random.default_rng(1).normal(size=(40, 5))
    add_neighbors(adata)
    assert checks.has_neighbors(adata)
    assert not checks.has_neighbors(adata[:10].copy())
    assert "happens when cells are taken out. Cells are compared in 'X_pca'" in messages(adata[:10].copy())


def test_data_say_in_what_their_cells_are_compared():
    adata = cells(40)
    assert "principal components computed" in checks.summarize(adata).comparison_space
    adata.obsm["X_harmony"] = adata.obsm["X_pca"] = np.random.default_rng(1).normal(size=(40, 5))
    assert "'X_harmony'" in checks.summarize(adata).comparison_space


def test_summary_names_what_is_there():
    adata = cells()
    adata.obs["stage"] = [0, 1, 2, 3] * 5
    adata.obs["plate"] = ["p1", "p2"] * 10
    adata.obs["barcode"] = adata.obs_names
    adata.obs["depth"] = np.linspace(0, 1, 20)
    adata.obsm["X_pca"] = np.ones((20, 5))
    adata.obsm["X_bad"] = np.full((20, 2), np.nan)
    adata.layers["Ms"] = adata.layers["spliced"].toarray() / 3
    found = checks.summarize(adata)
    assert (found.n_cells, found.n_genes) == (20, 8)
    assert found.layers == {
        "spliced": "sparse int counts", "unspliced": "sparse int counts", "Ms": "dense float",
    }  # fmt: skip
    assert found.groupings == ["clusters", "stage", "plate"]
    assert found.embeddings == ["umap", "pca"]
    assert checks.display_embeddings(adata) == ["umap"]
    assert found.count_kind == "counts"
    assert not found.has_moments


@pytest.mark.parametrize("as_sparse", [True, False])
def test_unspliced_fraction_by_hand(as_sparse):
    wrap = sparse.csr_matrix if as_sparse else np.asarray
    adata = ad.AnnData(np.zeros((4, 2), dtype="float32"))
    adata.layers["spliced"] = wrap(np.array([[3.0, 0], [1, 0], [0, 4], [0, 0]]))
    adata.layers["unspliced"] = wrap(np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]]))
    adata.obs["clusters"] = pd.Categorical(["b", "b", "a", "a"], categories=["b", "empty", "a"])
    table = checks.unspliced_fractions(adata, group_key="clusters")
    assert list(table.index) == ["b", "a"]
    np.testing.assert_allclose(table["unspliced"], [(0.25 + 0.5) / 2, 0.0])
    np.testing.assert_allclose(table["spliced"] + table["unspliced"], 1)
    assert list(table["n_cells"]) == [2, 2]
    everyone = checks.unspliced_fractions(adata, group_key=None)
    assert list(everyone.index) == ["all cells"]
    assert everyone["unspliced"].item() == pytest.approx(0.25)
    with pytest.raises(InputError, match="no grouping 'stage'"):
        checks.unspliced_fractions(adata, group_key="stage")


def test_normalised_layers_tell_the_fraction_by_their_initial_sizes():
    adata = cells()
    expected = checks.unspliced_fractions(adata, group_key="clusters")
    for layer in ("spliced", "unspliced"):
        totals = matrices.cell_totals(adata.layers[layer])
        adata.layers[layer] = sparse.csr_matrix(adata.layers[layer].toarray() / totals[:, None])
    assert checks.unspliced_fractions(adata, group_key="clusters").empty
    raw = cells()
    for layer in ("spliced", "unspliced"):
        adata.obs[f"initial_size_{layer}"] = matrices.cell_totals(raw.layers[layer])
    pd.testing.assert_frame_equal(checks.unspliced_fractions(adata, group_key="clusters"), expected)


def test_shared_counts_are_scvelos(shared_data):
    adata = read(shared_data / "dentate_gyrus_raw_100.h5ad")
    shared = matrices.shared_counts(adata.layers["spliced"], adata.layers["unspliced"])
    expected = adata.copy()
    scv.settings.verbosity = 0
    scv.pp.filter_genes(expected, min_shared_counts=20)
    assert list(adata.var_names[shared >= 20]) == list(expected.var_names)


def test_checking_never_makes_a_sparse_layer_dense(monkeypatch):
    adata = cells()
    for name in ("toarray", "todense"):
        monkeypatch.setattr(sparse.csr_matrix, name, lambda *_a, **_k: pytest.fail("made dense"))
    checks.summarize(adata)
    checks.require_fit(adata, SETTINGS, cluster_key="clusters")


def test_real_files_are_found_usable(shared_data):
    with_moments = read(shared_data / "dentate_gyrus_200.h5ad")
    found = checks.summarize(with_moments)
    assert found.has_moments
    assert found.unspliced_fraction == pytest.approx(0.105, abs=0.001)
    assert found.groupings == ["clusters", "age(days)", "clusters_enlarged"]
    assert {f.level for f in found.findings} == {"warning", "note"}
    checks.require_fit(with_moments, Settings(), cluster_key="clusters", basis="umap")
    raw = read(shared_data / "dentate_gyrus_raw_100.h5ad")
    assert checks.summarize(raw).count_kind == "counts"
    checks.require_fit(raw, Settings())


def test_other_settings_are_answered_without_another_look_at_the_matrices(monkeypatch):
    looks = []
    for name in ("blocks", "by_cells"):
        seen = getattr(matrices, name)
        monkeypatch.setattr(matrices, name, lambda *args, seen=seen: looks.append(1) or seen(*args))
    adata = cells()
    checked = checks.CheckedData(adata)
    assert checks.summarize(adata, checked=checked).findings
    checks.require_fit(adata, SETTINGS, checked=checked)
    before = len(looks)
    assert before > 0
    others = [{"graph": {"n_neighbors": 3}}, {"preparation": {"min_shared_counts": 2}}, {"seed": 1}]
    for changes in others:
        checks.require_fit(adata, replace(SETTINGS, changes), cluster_key="clusters", checked=checked)
    with pytest.raises(InputError, match=r"No gene reaches `preparation.min_shared_counts` = 1000"):
        checks.require_fit(
            adata, replace(SETTINGS, {"preparation": {"min_shared_counts": 1000}}), checked=checked
        )
    assert len(looks) == before


def test_moments_are_looked_at_where_they_are_kept():
    adata = cells()
    adata.layers["Ms"] = adata.layers["spliced"].toarray()
    adata.layers["Mu"] = np.full(adata.shape, np.nan, dtype="float32")
    checked = checks.CheckedData(adata)
    with pytest.raises(InputError, match="Layer 'Mu' has no finite value"):
        checks.require_fit(adata, SETTINGS, checked=checked)
    anew = replace(SETTINGS, {"preparation": {"recompute_moments": True}})
    checks.require_fit(adata, anew, checked=checked)
