"""Trajectories of cells laid out on a plane, whose arrows are known, and of fits."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError
from deepvelo.tl.lineage.trajectory import Trajectory, _root, trajectory
from tests.on_plane import N, fork, order, path, tissue

TREE = {("Root", "Early A"), ("Root", "Early B"), ("Early A", "Tip A"), ("Early B", "Tip B")}


@pytest.fixture(scope="module")
def forked() -> AnnData:
    return fork()


COLUMNS = ["source", "target", "confidence", "agreement", "undecided", "source_cells", "target_cells"]


def pairs(found: Trajectory) -> set[tuple[str, str]]:
    return set(zip(found.edges["source"], found.edges["target"], strict=True))


def test_a_fork_is_found_whole(forked):
    found = trajectory(forked, cluster_key="clusters")
    assert pairs(found) == {("stem", "up"), ("stem", "down")}
    assert (found.root, found.last_groups, found.warnings) == ("stem", ["down", "up"], [])
    assert (found.edges["confidence"] > 0).all()
    assert (found.edges["agreement"] > 0.8).all()
    assert found.explained > 0.8
    for branch in (1, 2):
        way = np.r_[:N, branch * N : (branch + 1) * N]
        assert order(found.latent_time[way], np.arange(2 * N)) > 0.98
        assert order(found.pseudotime[way], np.arange(2 * N)) > 0.98
    for time in (found.latent_time, found.pseudotime):
        assert (time.min(), time.max()) == (0, 1)


def test_arrows_turned_round_turn_the_answer(forked):
    backward = forked.copy()
    backward.uns[keys.VELOCITY_GRAPH] = -forked.uns[keys.VELOCITY_GRAPH_NEG]
    backward.uns[keys.VELOCITY_GRAPH_NEG] = -forked.uns[keys.VELOCITY_GRAPH]
    found, forward = (trajectory(adata, cluster_key="clusters") for adata in (backward, forked))
    assert pairs(found) == {("up", "stem"), ("down", "stem")}
    assert found.last_groups == ["stem"]
    assert found.latent_time == pytest.approx(1 - forward.latent_time, abs=1e-4)


def test_the_same_data_give_the_same_answer_and_are_not_changed(forked):
    before = forked.copy()
    first, second = (trajectory(forked, cluster_key="clusters", terminal=["up"]) for _ in range(2))
    pd.testing.assert_frame_equal(first.edges, second.edges)
    assert first.pseudotime == pytest.approx(second.pseudotime, abs=1e-9)
    assert np.array_equal(first.latent_time, second.latent_time)
    assert list(forked.obs) == list(before.obs)
    assert set(forked.uns) == set(before.uns)
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        assert (forked.uns[key] != before.uns[key]).nnz == 0


def test_terminal_groups_the_user_knows(forked):
    found = trajectory(forked, cluster_key="clusters", terminal=["up"])
    assert pairs(found) == {("stem", "up"), ("stem", "down")}
    assert found.last_groups == ["down", "up"]  # what the edges say, not what was chosen
    assert found.warnings == []


def test_a_root_against_the_arrows_is_taken_and_said(forked):
    found = trajectory(forked, cluster_key="clusters", root="up")
    assert found.root == "up"
    # the stem's own arrows still lead to the fork, and there on into the other branch
    assert pairs(found) == {("up", "down"), ("stem", "down")}
    assert found.pseudotime[N : 2 * N].min() == 0
    # from the tip of the branch to the fork
    assert order(found.latent_time[N : 2 * N], np.arange(N)) < -0.98
    assert any("lead into 'up', which is chosen as the root" in warning for warning in found.warnings)


def test_no_edge_leaves_a_chosen_end_for_another():
    """Three groups in a row, of which the last two are chosen: the arrows from one to the other do not count."""
    pieces = [path((3 * i, 0), (3 * i + 3, 0), i) for i in range(3)]
    row = tissue(*(np.concatenate(each) for each in zip(*pieces, strict=True)), ["one", "two", "three"])
    assert pairs(trajectory(row, cluster_key="clusters")) == {("one", "two"), ("two", "three")}
    found = trajectory(row, cluster_key="clusters", terminal=["two", "three"])
    assert pairs(found) == {("one", "two")}
    assert any(warning.startswith("Nothing leads to 'three'") for warning in found.warnings)


def test_edges_have_the_number_of_cells_and_small_groups_are_said(forked):
    few = forked.copy()
    names = few.obs["clusters"].astype(str).to_numpy()
    names[2 * N - 12 : 2 * N] = "tip"
    few.obs["clusters"] = pd.Categorical(names)
    found = trajectory(few, cluster_key="clusters")
    cells = {
        (row.source, row.target): (row.source_cells, row.target_cells) for row in found.edges.itertuples()
    }
    assert cells == {("stem", "up"): (N, N - 12), ("stem", "down"): (N, N), ("up", "tip"): (N - 12, 12)}
    (warning,) = found.warnings
    assert "edges rest on few cells: 'tip' (12). Below 30 cells" in warning


def test_an_edge_that_rests_on_undecided_cells_is_said(forked):
    tissue = forked.copy()
    near_border = np.zeros(3 * N, dtype=bool)
    near_border[N // 2 : N + N // 2] = True  # the later half of the stem and the earlier half of one branch
    tissue.obs[keys.UNDECIDED] = near_border
    found = trajectory(tissue, cluster_key="clusters")
    branch = tissue.obs["clusters"].iloc[N]
    undecided = found.edges.set_index("target")["undecided"]
    assert undecided[branch] == 1
    (warning,) = [warning for warning in found.warnings if "do not decide" in warning]
    assert f"stem → {branch}" in warning

    tissue.obs[keys.UNDECIDED] = False
    known = trajectory(tissue, cluster_key="clusters")
    assert (known.edges["undecided"] == 0).all()
    assert known.warnings == []
    assert trajectory(forked, cluster_key="clusters").edges["undecided"].isna().all()


def test_a_border_that_the_user_decides_is_decided(forked):
    tissue = forked.copy()
    tissue.obs[keys.UNDECIDED] = True
    found = trajectory(tissue, cluster_key="clusters", root="stem")
    assert (found.edges["undecided"] == 0).all()
    assert trajectory(tissue, cluster_key="clusters").edges["undecided"].eq(1).all()


def test_separate_parts_have_times_of_their_own():
    found = trajectory(fork(apart=30), cluster_key="clusters")
    assert pairs(found) == {("stem", "up")}
    assert (found.root, found.last_groups) == ("stem", ["up"])
    assert any("2 connected components" in w and "'stem', 'down'" in w for w in found.warnings)
    assert found.part.tolist() == [0] * 2 * N + [1] * N
    for time in (found.latent_time, found.pseudotime):
        for cells in (slice(0, 2 * N), slice(2 * N, None)):
            assert (time[cells].min(), time[cells].max()) == (0, 1)
        assert order(time[2 * N :], np.arange(N)) > 0.98


def test_a_part_of_a_few_cells_has_no_time(forked):
    cut = forked.copy()
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        graph = cut.uns[key].tolil()
        graph[-5:] = 0
        graph[:, -5:] = 0
        cut.uns[key] = graph.tocsr()
    found = trajectory(cut, cluster_key="clusters")
    assert np.isnan(found.latent_time[-5:]).all()
    assert np.isfinite(found.latent_time[:-5]).all()
    assert found.part.tolist() == [0] * (cut.n_obs - 5) + [-1] * 5
    assert np.array_equal(np.isnan(found.pseudotime), np.isnan(found.latent_time))
    assert any("5 cells in connected components of fewer than 20" in warning for warning in found.warnings)
    assert pairs(found) == {("stem", "up"), ("stem", "down")}


def test_no_part_is_large_enough(forked):
    cut = forked.copy()
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        graph = cut.uns[key].tolil()
        graph[15:] = 0
        graph[:, 15:] = 0
        cut.uns[key] = graph.tocsr()
    with pytest.raises(InputError, match=r"No connected component .* has 20 cells"):
        trajectory(cut, cluster_key="clusters")


def test_groups_without_anything_between_them():
    positions, directions = path((0, 0), (3, 0), 0)
    far = tissue(
        np.concatenate([positions, positions + 100]), np.concatenate([directions] * 2), ["one", "other"]
    )
    found = trajectory(far, cluster_key="clusters")
    assert found.edges.empty
    assert list(found.edges) == COLUMNS
    assert found.last_groups == []
    assert any("no edges were found" in warning for warning in found.warnings)
    assert any("no terminal group. Choose terminal groups by hand" in warning for warning in found.warnings)


@pytest.mark.parametrize("groups", [["one", "two"], ["one", "two", "three", "four"]])
def test_a_ring_has_neither_beginning_nor_end(groups):
    angle = np.linspace(0, 2 * np.pi, N * len(groups), endpoint=False)
    positions = 5 * np.column_stack([np.cos(angle), np.sin(angle)])
    directions = np.column_stack([-np.sin(angle), np.cos(angle)])
    found = trajectory(tissue(positions, directions, groups), cluster_key="clusters")
    assert found.explained < 0.05
    assert found.last_groups == []
    assert any("time explains only" in warning for warning in found.warnings)
    # with two, as many arrows go one way as the other
    assert pairs(found) == (
        set() if len(groups) == 2 else {*zip(groups, groups[1:] + groups[:1], strict=True)}
    )


def _one_group(adata: AnnData) -> None:
    adata.obs["clusters"] = pd.Categorical(["stem"] * adata.n_obs)


def _no_graph(adata: AnnData) -> None:
    del adata.uns[keys.VELOCITY_GRAPH]


def _empty_graph(adata: AnnData) -> None:
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        adata.uns[key] = sparse.csr_matrix(adata.uns[key].shape)


def _other_cells(adata: AnnData) -> None:
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        adata.uns[key] = adata.uns[key][:-1, :-1]


def _no_neighbors(adata: AnnData) -> None:
    del adata.uns[keys.NEIGHBORS]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda adata: adata.obs.pop("clusters"), "There is no grouping 'clusters'"),
        (_one_group, r"has one group \('stem'\), and two are needed"),
        (_no_graph, "needs the velocity graph of a fit, and the data have none"),
        (_empty_graph, "The velocity graph is empty"),
        (_other_cells, "The velocity graph has 179 cells and the data have 180"),
        (_no_neighbors, "needs a neighbour graph"),
    ],
)
def test_what_gives_no_trajectory(forked, change: Callable[[AnnData], object], message: str):
    broken = forked.copy()
    change(broken)
    with pytest.raises(InputError, match=message):
        trajectory(broken, cluster_key="clusters")


def test_a_chosen_group_that_is_not_there(forked):
    with pytest.raises(
        InputError, match=r"no group 'leaf', chosen as root, in these data\. Found 'down', 'stem', 'up'"
    ):
        trajectory(forked, cluster_key="clusters", root="leaf")


def test_cells_without_a_group_are_a_group_and_said(forked):
    partly = forked.copy()
    partly.obs.loc[partly.obs_names[:2], "clusters"] = np.nan
    found = trajectory(partly, cluster_key="clusters")
    assert any("without a group" in warning for warning in found.warnings)
    assert {("stem", "up"), ("stem", "down")} <= pairs(found)


def test_cells_without_a_group_are_no_root():
    groups = pd.Series(["unassigned"] * 3 + ["early"] * 5 + ["late"] * 5, dtype="category")
    edges = pd.DataFrame({"source": ["unassigned", "early"], "target": ["early", "late"]})
    time = np.arange(13.0)
    assert _root(edges, groups, time, chosen=None) == "early"
    assert _root(edges, groups, time, chosen="unassigned") == "unassigned"
    nothing_else = pd.Series(["unassigned"] * 13, dtype="category")
    assert _root(edges[:0], nothing_else, time, chosen=None) == "unassigned"


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1200, 133])  # counts of 200 genes: deep, and as 10x gives
def test_the_true_tree_of_a_simulated_branch(depth):
    adata = simulate(kind="branch", n_cells=500, n_genes=200, depth=depth, seed=3)
    settings = config.replace(config.Settings(), {"training": {"device": "cpu"}})
    fitted = workflow.run(adata, settings, cluster_key=keys.CLUSTERS).adata
    found = trajectory(fitted, cluster_key=keys.CLUSTERS)
    assert pairs(found) == TREE
    assert (found.root, found.last_groups) == ("Root", ["Tip A", "Tip B"])
    for branch in ("Branch A", "Branch B"):
        on_way = fitted.obs[keys.LINEAGE].isin(["Root", branch]).to_numpy()
        truth = fitted.obs[keys.TRUE_TIME].to_numpy()[on_way]
        assert order(found.latent_time[on_way], truth) > 0.9
        assert order(found.pseudotime[on_way], truth) > 0.9


@pytest.mark.slow
def test_the_granule_path_of_real_cells(shared_data):
    from deepvelo.io import read

    adata = read(shared_data / "dentate_gyrus_200.h5ad")
    fitted = workflow.run(adata, config.Settings(), cluster_key="clusters").adata
    found = trajectory(fitted, cluster_key="clusters")
    granule = ["nIPC", "Neuroblast", "Granule immature", "Granule mature"]
    assert set(itertools.pairwise(granule)) <= pairs(found)
    assert "Granule mature" in found.last_groups
    groups = fitted.obs["clusters"].to_numpy()
    for time in (found.latent_time, found.pseudotime):
        assert (np.diff([time[groups == group].mean() for group in granule]) > 0).all()
