import numpy as np
import pytest
import zarr
from anndata import AnnData
from scipy import sparse

from deepvelo import keys, tl
from deepvelo.errors import InputError
from tests.moving import by_scvelo, moving_cells

GRAPHS = (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)


@pytest.fixture(scope="module")
def simulated() -> AnnData:
    return moving_cells()


def assert_same(adata: AnnData, reference: AnnData, *, atol: float = 1e-5) -> None:
    for key in GRAPHS:
        one, other = adata.uns[key], reference.uns[key]
        assert one.format == "csr"
        assert one.dtype == other.dtype == np.float32
        assert one.nnz == other.nnz > 0
        assert abs(one - other).max() <= atol
    np.testing.assert_allclose(
        adata.obs[keys.SELF_TRANSITION], reference.obs[keys.SELF_TRANSITION], atol=atol
    )


def test_numbers_are_those_of_scvelo(simulated):
    adata = simulated.copy()
    tl.velocity_graph(adata)
    reference = by_scvelo(simulated)
    assert_same(adata, reference)
    own, theirs = (x.uns[keys.VELOCITY_PARAMS] for x in (adata, reference))
    assert theirs.items() <= own.items()


def test_only_velocity_genes_with_a_velocity_in_every_cell_count_as_with_scvelo(simulated):
    adata = simulated.copy()
    adata.var[keys.VELOCITY_GENES] = np.arange(adata.n_vars) % 3 > 0
    adata.layers[keys.VELOCITY][:, 1::7] = np.nan
    adata.layers[keys.VELOCITY][5, 4] = np.nan
    reference = by_scvelo(adata)
    tl.velocity_graph(adata)
    assert_same(adata, reference)
    other = simulated.copy()
    tl.velocity_graph(other)
    assert abs(adata.uns[keys.VELOCITY_GRAPH] - other.uns[keys.VELOCITY_GRAPH]).max() > 0.01


def test_cells_with_more_neighbors_keep_the_nearest_equal_cells_and_still_ones_have_none_as_with_scvelo(
    simulated,
):
    adata = simulated.copy()
    distances = sparse.lil_matrix(adata.obsp[keys.DISTANCES])
    far = np.argsort(adata.obsp[keys.DISTANCES].toarray(), axis=1)[:, -1]
    for cell in range(0, 600, 3):
        distances[cell, far[cell]] = 0
    adata.obsp[keys.DISTANCES] = sparse.csr_matrix(distances)
    adata.layers[keys.MS][7] = adata.layers[keys.MS][adata.obsp[keys.DISTANCES][7].indices[0]]
    adata.layers[keys.VELOCITY][9] = 0
    reference = by_scvelo(adata)
    tl.velocity_graph(adata)
    assert_same(adata, reference)
    assert adata.uns[keys.VELOCITY_GRAPH][9].nnz == adata.uns[keys.VELOCITY_GRAPH_NEG][9].nnz == 0


def test_a_few_cells_with_few_neighbours_do_not_thin_the_others(simulated):
    """As in BBKNN's graphs; with as many neighbours for all as the poorest has, two would be left."""
    adata = simulated.copy()
    distances = sparse.lil_matrix(adata.obsp[keys.DISTANCES])
    for cell in range(0, 600, 9):
        distances[cell, adata.obsp[keys.DISTANCES][cell].indices[2:]] = 0
    adata.obsp[keys.DISTANCES] = sparse.csr_matrix(distances)
    tl.velocity_graph(adata)
    whole = simulated.copy()
    tl.velocity_graph(whole)
    for cell in range(1, 9):
        assert adata.uns[keys.VELOCITY_GRAPH][cell].nnz > 0.7 * whole.uns[keys.VELOCITY_GRAPH][cell].nnz


def test_the_method_of_the_velocities_changes_nothing(simulated):
    plain, stochastic = simulated.copy(), simulated.copy()
    stochastic.uns[keys.VELOCITY_PARAMS] = {"mode": "stochastic"}
    for adata in (plain, stochastic):
        tl.velocity_graph(adata)
    assert_same(stochastic, plain, atol=0)
    assert stochastic.uns[keys.VELOCITY_PARAMS]["mode"] == "deepvelo"


def test_layers_in_zarr_give_the_same_numbers(simulated, tmp_path):
    in_memory, stored = simulated.copy(), simulated.copy()
    for key in (keys.MS, keys.VELOCITY):
        values = simulated.layers[key]
        stored.layers[key] = zarr.create_array(store=tmp_path / key, data=values, chunks=(len(values), 16))
    for adata in (in_memory, stored):
        tl.velocity_graph(adata)
    assert isinstance(stored.layers[keys.MS], zarr.Array)
    assert_same(stored, in_memory, atol=0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("alone", "2 of 600 cells have none"),
        ("still", "No cell's velocity points anywhere"),
        ("same", "No cell's velocity points anywhere"),
        ("unknown", "No cell's velocity points anywhere"),
    ],
)
def test_what_has_no_graph_is_refused(simulated, spoil, message):
    adata = simulated.copy()
    if spoil == "alone":
        kept = sparse.diags(~np.isin(np.arange(600), [3, 8]) * 1.0)
        adata.obsp[keys.DISTANCES] = sparse.csr_matrix(kept @ adata.obsp[keys.DISTANCES])
    else:
        adata.layers[keys.VELOCITY][:] = {"still": 0, "same": 0.1, "unknown": np.nan}[spoil]
    with pytest.raises(InputError, match=message):
        tl.velocity_graph(adata)
    assert keys.VELOCITY_GRAPH not in adata.uns
