"""The chain that fates are computed from, against CellRank's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl.graph.transitions import quiet_cellrank, transition_matrix
from tests.forked import fork


def test_rows_are_probabilities_of_the_neighbours():
    tissue = fork()
    matrix = transition_matrix(tissue)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert matrix.min() >= 0
    assert not (matrix != 0).multiply(tissue.obsp[keys.CONNECTIVITIES] == 0).sum()


def test_a_step_along_the_velocity_is_likelier_than_one_back():
    tissue = fork()
    matrix = transition_matrix(tissue, weight_connectivities=0)
    place = tissue.obs["place"].to_numpy()
    root = np.flatnonzero(tissue.obs[keys.CLUSTERS] == "Root")[5:-5]
    ahead = matrix.multiply(place[None, :] > place[:, None]).sum(axis=1).A1
    back = matrix.multiply(place[None, :] < place[:, None]).sum(axis=1).A1
    assert (ahead[root] > back[root]).all()
    assert ahead[root].mean() > 2 * back[root].mean()


def test_connectivities_count_with_their_weight():
    tissue = fork()
    moving, mixed = (transition_matrix(tissue, weight_connectivities=weight) for weight in (0.0, 0.25))
    from cellrank.kernels import ConnectivityKernel

    likeness = ConnectivityKernel(tissue).compute_transition_matrix().transition_matrix
    np.testing.assert_allclose(mixed.toarray(), (0.75 * moving + 0.25 * likeness).toarray(), atol=1e-12)


@pytest.mark.slow  # CellRank compiles
def test_it_is_cellranks_velocity_kernel():
    tissue = fork()
    with quiet_cellrank():
        from cellrank.kernels import VelocityKernel

        kernel = VelocityKernel(tissue.copy()).compute_transition_matrix(show_progress_bar=False)
    ours = transition_matrix(tissue, weight_connectivities=0)
    np.testing.assert_allclose(ours.toarray(), kernel.transition_matrix.toarray(), atol=1e-9)


def test_a_cell_at_rest_goes_anywhere():
    tissue = fork()
    tissue.layers[keys.VELOCITY][7, :3] = 0
    row = transition_matrix(tissue, weight_connectivities=0)[7]
    np.testing.assert_allclose(row.data, 1 / row.nnz)


def test_no_process_is_started_and_nothing_is_said_or_changed(monkeypatch, capfd, recwarn):
    import multiprocessing

    def refuse(*args, **kwargs):
        raise AssertionError("a Dask worker may not start processes")

    monkeypatch.setattr(multiprocessing, "Manager", refuse)
    monkeypatch.setattr(multiprocessing.Process, "start", refuse)
    tissue = fork()
    before = tissue.copy()
    transition_matrix(tissue)
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)
    assert (set(tissue.obs), set(tissue.uns), set(tissue.obsp)) == (
        set(before.obs), set(before.uns), set(before.obsp),
    )  # fmt: skip
    np.testing.assert_array_equal(tissue.layers[keys.VELOCITY], before.layers[keys.VELOCITY])


def _without(key):
    def spoil(tissue):
        del tissue.layers[key]

    return spoil


def _zero_velocity(tissue):
    tissue.layers[keys.VELOCITY][:] = 0


def _no_velocity_genes(tissue):
    tissue.layers[keys.VELOCITY][:] = np.nan


def _empty_graph(tissue):
    tissue.uns[keys.VELOCITY_GRAPH] = sparse.csr_matrix((tissue.n_obs, tissue.n_obs))


def _no_neighbors(tissue):
    del tissue.uns[keys.NEIGHBORS]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without(keys.VELOCITY), r"need the layers \['velocity'\].*Choose a finished run"),
        (_without(keys.MS), r"need the layers \['Ms'\]"),
        (_zero_velocity, "velocity is 0 in every cell.*Train for more epochs"),
        (_no_velocity_genes, "two or more genes with a velocity. Found 0 of 5"),
        (_empty_graph, "velocity graph is empty.*Train for more epochs"),
        (_no_neighbors, "need the neighbour graph"),
    ],
)
def test_a_run_that_cannot_be_used_is_refused_in_words(spoil, message):
    tissue = fork()
    spoil(tissue)
    with pytest.raises(InputError, match=message):
        transition_matrix(tissue)


@pytest.mark.parametrize("weight", [-0.1, 1, float("nan")])
def test_the_weight_must_leave_room_for_velocities(weight):
    with pytest.raises(InputError, match="`weight_connectivities` must be from 0 to below 1"):
        transition_matrix(fork(), weight_connectivities=weight)
