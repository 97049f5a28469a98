import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import contents
from deepvelo.io.tidy.embeddings import name_embeddings
from deepvelo.pp.prepare import chosen_basis

N_CELLS = 12
RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(N_CELLS, 2))


def cells(**obsm) -> AnnData:
    return AnnData(np.zeros((N_CELLS, 1), dtype=np.float32), obsm=obsm)


def with_columns(*names: str) -> AnnData:
    adata = cells()
    for i, name in enumerate(names):
        adata.obs[name] = POINTS[:, i % 2]
    return adata


@pytest.mark.parametrize(
    "key",
    [
        "umap_cell_embeddings",
        "UMAP",
        "umap",
        "tSNE",
        "wnn.umap",
        "umap.harmony",
        "PHATE",
        "spatial",
        "draw_graph_fa",
    ],
)
def test_a_picture_without_prefix_is_drawn_on_and_kept_as_it_is(key):
    adata = cells(**{key: POINTS}, X_harmony=RNG.normal(size=(N_CELLS, 20)), X_pca=POINTS)
    notes = name_embeddings(adata)
    np.testing.assert_array_equal(adata.obsm[key], POINTS)
    np.testing.assert_array_equal(adata.obsm[f"X_{key}"], POINTS)
    assert contents.display_embeddings(adata) == [key]
    assert chosen_basis(adata, None) == chosen_basis(adata, key) == key
    assert len(notes) == 1
    assert key in notes[0]
    assert name_embeddings(adata) == [], "a second time nothing is to be done"


@pytest.mark.parametrize("key", ["velocity_umap", "pca_cell_embeddings", "harmony", "bins", "pca"])
def test_what_is_no_picture_gets_no_other_name(key):
    adata = cells(**{key: POINTS})
    assert name_embeddings(adata) == []
    assert set(adata.obsm) == {key}


@pytest.mark.parametrize(
    ("columns", "basis"),
    [
        (("UMAP_1", "UMAP_2"), "umap"),
        (("UMAP1", "UMAP2"), "umap"),
        (("umap_x", "umap_y"), "umap"),
        (("x_umap", "y_umap"), "umap"),
        (("umap-0", "umap-1"), "umap"),
        (("X_umap_1", "X_umap_2"), "umap"),
        (("_tSNE1", "_tSNE2"), "tsne"),
        (("t-SNE 1", "t-SNE 2"), "tsne"),
        (("tsne.1", "tsne.2"), "tsne"),
        (("umap_harmony_1", "umap_harmony_2"), "umap_harmony"),
        (("UMAP1_harmony", "UMAP2_harmony"), "UMAP_harmony"),
        (("UMAP_1_2D", "UMAP_2_2D"), "UMAP_2D"),
        (("_X", "_Y"), "embedding"),
        (("X", "Y"), "embedding"),
        (("X_coord", "Y_coord"), "embedding"),
        (("x_coordinate", "y_coordinate"), "embedding"),
        (("embedding_1", "embedding_2"), "embedding"),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_columns_of_coordinates_become_a_picture(columns, basis, backwards):
    adata = with_columns(*columns)
    if backwards:
        adata.obs = adata.obs[list(columns[::-1])]
    notes = name_embeddings(adata)
    np.testing.assert_array_equal(adata.obsm[f"X_{basis}"], POINTS)
    assert list(adata.obs.columns) == list(columns[::-1] if backwards else columns)
    assert chosen_basis(adata, None) == basis
    assert all(column in notes[0] for column in columns)
    assert name_embeddings(adata) == []


def test_columns_may_be_text_and_of_three_dimensions():
    adata = with_columns("UMAP_1", "UMAP_2", "UMAP_3")
    adata.obs["UMAP_1"] = adata.obs["UMAP_1"].astype(str).astype("category")
    adata.obs["UMAP_2"] = pd.array([None, *POINTS[1:, 1]], dtype="Float64")
    notes = name_embeddings(adata)
    assert adata.obsm["X_umap"].shape == (N_CELLS, 3)
    np.testing.assert_allclose(adata.obsm["X_umap"][1:, :2], POINTS[1:])
    assert any(note.startswith("1 cell without coordinates") for note in notes)


@pytest.mark.parametrize(
    "columns",
    [
        ("UMAP_1",),
        ("UMAP_1", "tSNE_2"),
        ("PC1", "PC2"),
        ("score_1", "score_2"),
        ("x", "y"),
        ("array_x", "array_y"),
    ],
)
def test_other_columns_are_no_picture(columns):
    adata = with_columns(*columns)
    assert name_embeddings(adata) == []
    assert not adata.obsm


@pytest.mark.parametrize("key", ["X_umap", "X_UMAP", "umap_cell_embeddings"])
def test_a_picture_that_is_there_is_not_made_from_columns_again(key):
    adata = with_columns("UMAP_1", "UMAP_2")
    adata.obsm[key] = own = RNG.normal(size=(N_CELLS, 2))
    name_embeddings(adata)
    np.testing.assert_array_equal(adata.obsm[key], own)
    assert len(contents.display_embeddings(adata)) == 1


def test_cells_without_coordinates_are_counted():
    points = POINTS.copy()
    points[[1, 4, 7]] = np.nan
    points[9, 0] = np.inf
    adata = cells(X_umap=points, X_tsne=POINTS)
    assert name_embeddings(adata) == [
        "4 cells without coordinates in 'X_umap': not drawn there, and no arrow there."
    ]
    assert contents.display_embeddings(adata) == ["umap", "tsne"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["spatial", "X_mde", "X_umap_scvi", "X_umap"], "umap"),
        (["X_UMAP", "X_umap"], "umap"),
        (["X_tsne", "X_UMAP"], "UMAP"),
        (["X_tSNE", "X_umap_harmony"], "umap_harmony"),
        (["X_phate", "X_tSNE"], "tSNE"),
        (["spatial", "X_phate"], "phate"),
        (["X_harmony", "X_pca", "spatial"], "spatial"),
        (["X_alpha_umap", "X_rates_umap", "X_fa"], "fa"),
        (["X_harmony", "X_pca"], "umap"),
    ],
)
def test_umap_is_drawn_on_before_tsne_and_other_pictures_before_places_in_the_tissue(found, expected):
    adata = cells(**dict.fromkeys(found, POINTS))
    name_embeddings(adata)
    assert chosen_basis(adata, None) == expected


@pytest.mark.parametrize(
    ("found", "asked", "expected"),
    [
        (["X_umap", "X_UMAP"], "UMAP", "UMAP"),
        (["X_umap", "X_UMAP"], "X_umap", "umap"),
        (["X_UMAP", "X_tsne"], "umap", "UMAP"),
        (["X_tSNE"], "t-sne", "tSNE"),
        (["X_umap_cell_embeddings"], "umap", "umap_cell_embeddings"),
        (["X_Umap", "X_UMAP"], "umap", None),
        (["X_umap"], "tsne", None),
    ],
)
def test_an_embedding_is_found_in_any_spelling_that_means_one(found, asked, expected):
    assert contents.find_embedding(cells(**dict.fromkeys(found, POINTS)), asked) == expected


@pytest.mark.parametrize("dtype", ["float16", "int64", "float32"])
def test_numbers_of_any_kind_are_coordinates(dtype):
    adata = cells(UMAP=np.arange(2 * N_CELLS).reshape(-1, 2).astype(dtype))
    name_embeddings(adata)
    assert adata.obsm["X_UMAP"].dtype == dtype


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        (sparse.csr_matrix(POINTS), ""),
        (POINTS.astype(str), ""),
        (pd.DataFrame(POINTS.astype(str)), ""),
        (pd.DataFrame(POINTS, columns=["UMAP_1", "UMAP_2"]).assign(label="a"), "label"),
    ],
)
def test_a_picture_that_is_no_array_of_numbers_becomes_one(stored, named):
    adata = cells()
    if isinstance(stored, pd.DataFrame):
        stored.index = adata.obs_names
    adata.obsm["X_umap"] = stored
    (note,) = name_embeddings(adata)
    np.testing.assert_allclose(adata.obsm["X_umap"], POINTS)
    assert named in note
    assert name_embeddings(adata) == [], "a second time nothing is to be done"


def test_a_umap_of_many_dimensions_is_drawn_on_where_no_other_picture_is():
    many = RNG.normal(size=(N_CELLS, 10))
    assert contents.display_embeddings(cells(X_umap=many, X_pca=many, X_umap_neighbors=many)) == ["umap"]
    assert contents.display_embeddings(cells(X_umap=many, X_phate=POINTS)) == ["phate", "umap"]


def test_a_sparse_representation_becomes_an_array_and_a_matrix_of_counts_does_not():
    latent, bins = sparse.random(N_CELLS, 20, 0.5, "csr"), sparse.random(N_CELLS, 500, 0.1, "csr")
    adata = cells(X_scVI=latent, X_bins=bins, motifs=latent)
    (note,) = name_embeddings(adata)
    assert "'X_scVI'" in note
    np.testing.assert_array_equal(adata.obsm["X_scVI"], latent.toarray())
    assert all(sparse.issparse(adata.obsm[key]) for key in ("X_bins", "motifs"))


def test_an_array_of_three_dimensions_is_left_alone():
    adata = cells(umap=np.zeros((N_CELLS, 2, 3)))
    assert name_embeddings(adata) == []
    assert set(adata.obsm) == {"umap"}


def test_a_picture_with_all_cells_at_one_point_is_noted():
    flat = np.zeros((N_CELLS, 2))
    (note,) = name_embeddings(cells(X_umap=flat, X_tsne=POINTS))
    assert "one point in 'X_umap'" in note
