"""The whole analysis of a fit whose lineages are known, with other choices, and with choices that cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score

from deepvelo import keys, tl
from deepvelo.arrays import layers
from deepvelo.errors import CancelledError, InputError
from deepvelo.lineages import LAYERS, analyse
from tests.branched import SETTINGS, TREE, analysed, branched
from tests.forked import fork

TIPS = ("Tip A", "Tip B")


def test_the_tree_and_its_tips_are_found():
    found = analysed()
    assert set(zip(found.edges["source"], found.edges["target"], strict=True)) == TREE
    assert found.root == "Root"
    assert found.last_groups == TIPS
    assert found.lineages == list(TIPS)
    assert found.warnings == ()
    assert found.settings is SETTINGS
    assert found.seconds > 0


def test_every_cell_has_a_row_in_the_order_of_the_fit():
    found, truth = analysed(), branched().obs
    assert list(found.cells) == [
        "pseudotime",
        "latent_time",
        "part",
        "macrostate",
        "fate: Tip A",
        "fate: Tip B",
    ]
    assert list(found.cells.index) == list(truth.index)
    assert list(found.fates) == list(TIPS)
    np.testing.assert_allclose(found.fates.sum(axis=1), 1)
    on_branch = truth[keys.LINEAGE] != "Root"
    on_a = truth.loc[on_branch, keys.LINEAGE] == "Branch A"
    assert roc_auc_score(on_a, found.fates.loc[on_branch, "Tip A"]) > 0.95
    for branch in ("Branch A", "Branch B"):
        path = truth[keys.LINEAGE].isin(["Root", branch])
        for time in ("latent_time", "pseudotime"):
            order = found.cells.loc[path, time].corr(truth.loc[path, keys.TRUE_TIME], method="spearman")
            assert order > 0.9, (branch, time)


def test_macrostates_are_categories_and_lie_in_their_group():
    state = analysed().cells["macrostate"]
    assert isinstance(state.dtype, pd.CategoricalDtype)
    groups = branched().obs[keys.CLUSTERS]
    for tip in TIPS:
        inside = groups[state == tip]
        assert len(inside) > 5
        assert (inside == tip).mean() > 0.9


def test_drivers_are_those_of_the_fates():
    cells = branched()
    found = analysed()
    fates = tl.fates(cells, cluster_key=keys.CLUSTERS)
    latent = found.cells["latent_time"].to_numpy()
    pd.testing.assert_frame_equal(found.drivers, tl.drivers(cells, fates, pseudotime=latent))
    assert list(found.drivers["lineage"].unique()) == list(TIPS)


def test_the_fit_stays_as_it_was_and_the_same_choices_give_the_same():
    cells = branched()
    before = cells.copy()
    again = analyse(cells, SETTINGS)
    for part in ("obs", "var"):
        pd.testing.assert_frame_equal(getattr(cells, part), getattr(before, part))
    for part in ("uns", "layers", "obsm", "obsp"):
        assert set(getattr(cells, part)) == set(getattr(before, part)), part
    for part in ("cells", "edges", "drivers"):
        pd.testing.assert_frame_equal(getattr(again, part), getattr(analysed(), part))


def test_choices_by_hand_are_followed():
    chosen = replace(SETTINGS, root="Root", terminal=("Tip B",))
    found = analyse(branched(), chosen)
    assert (found.root, found.last_groups, found.lineages) == ("Root", TIPS, ["Tip B"])
    assert "end in 'Tip A', which is no terminal state" in found.warnings[0]
    assert (found.fates["Tip B"] == 1).all()
    assert any("'Tip B' is the only terminal state" in warning for warning in found.warnings)
    assert set(found.drivers["measure"]) == {"nearness"}


def test_a_root_against_the_arrows_is_said_so():
    found = analyse(branched(), replace(SETTINGS, root="Tip A"))
    assert found.root == "Tip A"
    assert "Tip A" in found.lineages
    assert any("root 'Tip A' is also one of the terminal states" in warning for warning in found.warnings)
    assert any("leave 'Tip A', where fates end" in w and "by hand" in w for w in found.warnings)
    assert any("The arrows lead into 'Tip A'" in warning for warning in found.warnings)


def test_parts_without_neighbours_in_common_are_analysed_apart_and_said_so():
    cells = fork(apart=True)
    tl.velocity_graph(cells)
    found = analyse(cells, SETTINGS)
    assert found.edges[["source", "target"]].to_numpy().tolist() == [["Root", "Left"]]
    right = (cells.obs[keys.CLUSTERS] == "Right").to_numpy()
    assert (found.fates.loc[right, "Right"] == 1).all()
    assert (found.fates.loc[~right, "Left"] == 1).all()
    for part in (right, ~right):
        assert found.cells.loc[part, "latent_time"].agg(["min", "max"]).tolist() == [0, 1]
    apart = [warning for warning in found.warnings if "connected components" in warning]
    assert len(apart) == 2  # of times, of fates


def test_stages_are_told_in_turn_and_may_stop_the_work():
    told = []

    def stop(stage):
        told.append(stage)
        if stage == "fates":
            raise CancelledError

    with pytest.raises(CancelledError):
        analyse(branched(), SETTINGS, on_stage=stop)
    assert told == ["trajectory", "fates"]


def two_cells(cells):
    """A group of two cells at the end of a branch."""
    groups = cells.obs[keys.CLUSTERS].astype(str)
    groups.iloc[np.flatnonzero(groups == "Tip A")[:2]] = "Few"
    cells.obs[keys.CLUSTERS] = groups.astype("category")


def one_group(cells):
    cells.obs[keys.CLUSTERS] = pd.Categorical(["Root"] * cells.n_obs)


def no_arrows(cells):
    for graph in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        cells.uns[graph] = cells.uns[graph] * 0


def not_fitted(cells):
    del cells.uns[keys.VELOCITY_GRAPH], cells.layers[keys.VELOCITY]


@pytest.mark.parametrize(
    ("changes", "spoil", "message"),
    [
        ({"root": "Stem"}, None, r"no group 'Stem', chosen as root, in these data\. Found .*'Root'"),
        (
            {"terminal": ("Tip A", "Tip C")},
            None,
            r"no group 'Tip C', chosen as terminal state, in these data",
        ),
        ({"root": "Root", "terminal": ("Root",)}, None, r"'Root' is chosen as root and as terminal state"),
        (
            {"terminal": ("Few",)},
            two_cells,
            r"'Few', chosen as terminal state, has 2 cells, and 3 are needed",
        ),
        ({"cluster_key": "types"}, None, r"no grouping 'types'"),
        ({}, one_group, r"Grouping 'clusters' has one group \('Root'\), and two are needed"),
        ({}, no_arrows, r"velocity graph is empty"),
        ({}, not_fitted, r"needs the velocity graph of a fit"),
    ],
)
def test_bad_choices_and_bad_runs_are_one_sentence(changes, spoil, message):
    cells = branched()
    if spoil is not None:
        spoil(cells)
    with pytest.raises(InputError, match=message) as error:
        analyse(cells, replace(SETTINGS, **changes))
    assert "\n" not in str(error.value)


def test_a_result_of_another_tool_gets_its_graph():
    """With sparse layers and a gap, as other programs write them."""
    fit = branched()
    del fit.uns[keys.VELOCITY_GRAPH], fit.uns[keys.VELOCITY_GRAPH_NEG]
    fit.layers[keys.VELOCITY][0, 0] = np.nan
    for key in (keys.MS, keys.VELOCITY):
        fit.layers[key] = sparse.csr_matrix(fit.layers[key])
    found = analyse(fit, SETTINGS)
    assert any("graph was computed here" in warning for warning in found.warnings)
    assert set(found.lineages) == set(analysed().lineages)
    assert set(found.drivers["gene"]) == set(analysed().drivers["gene"])
    assert keys.VELOCITY_GRAPH not in fit.uns


def test_a_result_without_graph_and_moments_is_refused():
    fit = branched()
    del fit.uns[keys.VELOCITY_GRAPH], fit.uns[keys.VELOCITY_GRAPH_NEG], fit.layers[keys.MS]
    with pytest.raises(InputError, match=r"moments to compute it from.*'Ms'"):
        analyse(fit, SETTINGS)


def test_layers_on_disk_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "_BLOCK_GENES", 7)
    fit = branched()
    for key in LAYERS:
        if key in fit.layers:
            stored = layers.new_layer(fit.shape, path=tmp_path / key)
            stored[:, :] = fit.layers[key]
            fit.layers[key] = stored
    found, expected = analyse(fit, SETTINGS), analysed()
    pd.testing.assert_frame_equal(found.cells, expected.cells, rtol=1e-6)
    pd.testing.assert_frame_equal(found.drivers, expected.drivers, rtol=1e-6)
