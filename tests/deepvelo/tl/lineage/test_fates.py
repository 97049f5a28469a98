"""Fates of a tissue that forks, with everything that can be wrong about a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl import fates
from deepvelo.tl.lineage.fates import _part_warnings, _require_terminal
from tests.forked import fork


def find(tissue, **options):
    return fates(tissue, cluster_key=keys.CLUSTERS, **options)


def test_the_ends_of_a_fork_are_its_two_tips():
    tissue = fork(300)
    found = find(tissue)
    assert found.terminal == ["Left", "Right"]  # in the grouping's order
    assert set(found.states.index[found.states["terminal"]]) == {"Left", "Right"}
    assert (found.states.loc[found.terminal, "stability"] >= 0.96).all()
    place, group = tissue.obs["place"], tissue.obs[keys.CLUSTERS]
    for name in found.terminal:
        cells = found.macrostates == name
        assert (group[cells] == name).all()
        assert place[cells].min() > 0.5
        assert (found.probabilities.loc[cells, name] == 1).all()
    assert not found.warnings


def test_every_cell_has_a_fate_and_those_of_a_branch_that_branch():
    tissue = fork(300)
    found = find(tissue)
    chances, group = found.probabilities, tissue.obs[keys.CLUSTERS]
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances.loc[group == "Left", "Left"] > 0.5).mean() > 0.97
    assert (chances.loc[group == "Right", "Right"] > 0.5).mean() > 0.97
    early = chances.loc[(group == "Root") & (tissue.obs["place"] < 0.5), "Left"]
    assert early.between(0.1, 0.9).all()


def test_steps_run_down_along_every_lineage():
    tissue = fork(300)
    found = find(tissue)
    for name in ("Root", "Left", "Right"):
        inside = tissue.obs[keys.CLUSTERS] == name
        order = found.steps[inside].corr(tissue.obs.loc[inside, "place"], method="spearman")
        assert order < -0.9


def test_the_same_seed_gives_the_same_fates_and_the_run_stays_as_it_was():
    tissue = fork(300)
    before = tissue.copy()
    first, second = find(tissue, seed=2), find(tissue, seed=2)
    pd.testing.assert_frame_equal(first.probabilities, second.probabilities)
    pd.testing.assert_series_equal(first.macrostates, second.macrostates)
    assert (set(tissue.obs), set(tissue.uns), set(tissue.obsp), set(tissue.obsm)) == (
        set(before.obs), set(before.uns), set(before.obsp), set(before.obsm),
    )  # fmt: skip


def test_groups_can_be_chosen_by_hand():
    tissue = fork()
    found = find(tissue, terminal=["Right", "Root"])
    assert found.terminal == ["Root", "Right"]
    group = tissue.obs[keys.CLUSTERS]
    assert (found.probabilities.loc[group == "Right", "Right"] == 1).all()
    assert found.states.loc["Right", "n_cells"] == 50
    assert found.states["stability"].isna().all()


def test_all_cells_may_be_terminal():
    found = find(fork(), terminal=["Root", "Left", "Right"])
    assert set(np.unique(found.probabilities)) == {0, 1}
    assert (found.steps == 0).all()


def test_parts_are_analysed_each_by_itself():
    tissue = fork(300, apart=True)
    found = find(tissue)
    apart = tissue.obs[keys.CLUSTERS] == "Right"
    assert found.terminal == ["Left", "Right"]
    assert found.parts[apart].nunique() == 1
    assert (found.probabilities.loc[apart, "Right"] == 1).all()
    assert (found.probabilities.loc[~apart, "Left"] == 1).all()
    assert "2 connected components" in found.warnings[0]


def test_a_part_that_no_chosen_group_lies_in_has_no_fate_and_that_is_said():
    tissue = fork(300, apart=True)
    found = find(tissue, terminal=["Left"])
    apart = tissue.obs[keys.CLUSTERS] == "Right"
    assert found.probabilities[apart].isna().all(axis=None)
    assert found.steps[apart].isna().all()
    assert any("No terminal state was found for 100 cells ('Right')" in text for text in found.warnings)


def test_parts_without_an_end_are_told_of_in_one_sentence():
    groups = pd.Series(pd.Categorical(["A", "A", "B", "B", "C"]))
    parts, end = np.array([0, 0, 1, 1, 2]), np.array([0, -1, -1, -1, -1])
    assert _part_warnings(parts, groups, end, ["A"]) == [
        "No terminal state was found for 3 cells ('B', 'C'): their fates are unknown."
    ]


def test_one_end_is_a_certain_fate_and_that_is_said():
    tissue = fork()
    found = find(tissue, n_states=1)
    assert len(found.terminal) == 1
    assert (found.probabilities == 1).all(axis=None)
    assert "is the only terminal state" in found.warnings[0]


@pytest.mark.slow
def test_an_end_that_was_not_chosen_holds_its_cells_and_that_is_said():
    found = find(fork(300), terminal=["Left"])
    assert (found.probabilities["Left"] == 1).all()
    assert any("'Right' practically never reach a terminal state" in text for text in found.warnings)


def test_states_in_one_group_are_one_end():
    tissue = fork(300)
    tips = tissue.obs[keys.CLUSTERS].isin(["Left", "Right"])
    tissue.obs["coarse"] = pd.Categorical(np.where(tips, "Tip", "Root"))
    found = fates(tissue, cluster_key="coarse")
    assert found.terminal == ["Tip"]
    assert list(found.states.index[found.states["terminal"]]) == ["Tip", "Tip 2"]


def ring(n_cells: int = 200):
    """Cells that go round in a circle of four groups."""
    from anndata import AnnData
    from scanpy.pp import neighbors

    angle = np.arange(n_cells) / n_cells * 2 * np.pi
    place = np.column_stack([np.cos(angle), np.sin(angle)])
    place = np.column_stack([place, -place]).astype(np.float32)
    ahead = np.column_stack([-np.sin(angle), np.cos(angle)])
    tissue = AnnData(
        obs=pd.DataFrame(
            {keys.CLUSTERS: pd.Categorical(np.repeat(list("ABCD"), n_cells // 4))},
            index=[f"cell{number}" for number in range(n_cells)],
        ),
        layers={keys.MS: place, keys.VELOCITY: np.column_stack([ahead, -ahead]).astype(np.float32)},
    )
    tissue.obsm[keys.X_PCA] = place
    neighbors(tissue, n_neighbors=8, use_rep=keys.X_PCA)
    return tissue


@pytest.mark.slow
def test_a_circle_has_no_end():
    with pytest.raises(InputError, match=r"No terminal state was found.*as in a cycle.*by hand"):
        find(ring())
    assert find(ring(), terminal=["C"]).terminal == ["C"]


def test_states_that_are_not_stable_enough_are_no_ends():
    message = r"No terminal state was found: the most stable of 2 macrostates, .* required 1.*lower"
    with pytest.raises(InputError, match=message):
        find(fork(90), stability=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terminal": ["Lef"]}, "no group 'Lef', chosen as terminal state, in these data"),
        ({"terminal": []}, "must be a list of one or more groups"),
        ({"n_states": 0}, "`n_states` must be from 1 to 50. Got 0"),
        ({"stability": 1.5}, "`stability` must be from 0 to 1. Got 1.5"),
        ({"weight_connectivities": 1.0}, "`weight_connectivities` must be from 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        find(fork(), **options)


def test_a_terminal_group_needs_three_cells():
    tissue = fork()
    groups = tissue.obs[keys.CLUSTERS].astype(str).to_numpy()
    groups[:2] = "Rare"
    tissue.obs[keys.CLUSTERS] = pd.Categorical(groups)
    with pytest.raises(InputError, match="'Rare', chosen as terminal state, has 2 cells, and 3 are needed"):
        find(tissue, terminal=["Rare"])


@pytest.mark.parametrize(
    ("key", "message"), [("absent", "absent"), ("one", "has one group"), ("place", "does not sort cells")]
)
def test_a_grouping_is_needed(key, message):
    tissue = fork()
    tissue.obs["one"] = pd.Categorical(["all"] * tissue.n_obs)
    tissue.obs["place"] = np.arange(tissue.n_obs) / 7
    with pytest.raises(InputError, match=message):
        fates(tissue, cluster_key=key)


@pytest.mark.slow
def test_a_fitted_branch_ends_in_its_tips_and_fates_tell_the_branches():
    from sklearn.metrics import roc_auc_score

    from deepvelo import config, workflow
    from deepvelo.datasets.simulation import simulate

    counts = simulate(kind="branch", n_cells=400, n_genes=150, depth=900, seed=7)
    settings = config.replace(config.Settings(), {"training": {"device": "cpu"}})
    run = workflow.run(counts, settings, cluster_key=keys.CLUSTERS).adata
    found = find(run)
    assert found.terminal == ["Tip A", "Tip B"]
    lineage = run.obs[keys.LINEAGE].astype(str)
    branch = (lineage != "Root").to_numpy()
    chances = found.probabilities["Tip A"]
    assert roc_auc_score(lineage[branch] == "Branch A", chances[branch]) > 0.95


@pytest.mark.slow
def test_real_granule_cells_end_mature(shared_data):
    from anndata import read_h5ad

    from deepvelo import config, workflow

    settings = config.replace(config.Settings(), {"training": {"device": "cpu"}})
    cells = read_h5ad(shared_data / "dentate_gyrus_200.h5ad")
    run = workflow.run(cells, settings, cluster_key="clusters").adata
    found = fates(run, cluster_key="clusters")
    assert found.terminal == ["Granule mature"]
    assert found.states.loc["Granule mature", "share"] > 0.6


def test_cells_without_groups_end_nowhere():
    with pytest.raises(InputError, match=r"no cell of a macrostate has a group"):
        _require_terminal(pd.DataFrame({"terminal": [], "stability": []}), stability=0.96)
