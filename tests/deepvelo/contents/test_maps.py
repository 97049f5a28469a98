import numpy as np
import pytest

from deepvelo.contents import maps


def test_constant_columns_are_left_out_and_the_others_keep_their_numbers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 4)).astype(np.float32)
    values[:, 1] = 3 + 1e-7 * rng.normal(size=50)
    values[7] = np.nan
    assert maps.axes("X_pca", values) == {0: "PC 1", 2: "PC 3", 3: "PC 4"}


def test_the_stationary_component_of_a_diffusion_map_is_left_out():
    # Eigenvectors of a random walk on a chain, made symmetric as scanpy does: the first is the square root of the degrees.
    chain = np.diag(np.ones(19), 1) + np.diag(np.ones(19), -1)
    root = np.sqrt(chain.sum(axis=0))
    _, vectors = np.linalg.eigh(chain / np.outer(root, root))
    values = vectors[:, ::-1]
    assert np.ptp(values[:, 0]) > 0.05  # not constant
    assert maps.axes("diffmap", values[:, :4]) == {1: "DC 1", 2: "DC 2", 3: "DC 3"}
    assert maps.axes("diffmap", values[:, 1:4]) == {0: "DC 1", 1: "DC 2", 2: "DC 3"}


@pytest.mark.parametrize(
    "values", [np.ones((5, 2)), np.full((5, 2), np.nan), np.eye(5)[:, :2] * [1, 0], np.eye(5, 2, dtype=bool)]
)
def test_a_map_keeps_two_columns(values):
    assert maps.axes("umap", values) == {0: "UMAP 1", 1: "UMAP 2"}


def test_spatial_coordinates_are_a_map_with_and_without_prefix():
    assert maps.maps(["X_umap", "spatial", "velocity_spatial", "X_rates_umap", "loadings"]) == [
        "umap",
        "spatial",
    ]
    assert maps.maps(["X_spatial", "spatial"]) == ["spatial"]
    assert maps.key_of("spatial", ["spatial"]) == "spatial"
    assert maps.key_of("spatial", ["spatial", "X_spatial"]) == "X_spatial"
    assert maps.key_of("umap", ["spatial"]) == "X_umap"


@pytest.mark.parametrize(
    ("basis", "label"),
    [("umap", "UMAP"), ("tsne", "t-SNE"), ("tSNE", "t-SNE"), ("pca", "PCA"), ("diffmap", "Diffusion map"), ("my_map", "my_map")],
)  # fmt: skip
def test_maps_are_named_as_people_write_them(basis, label):
    assert maps.label(basis) == label
