"""Results brought to shared cells and genes, and what does not match."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.evaluation.compare import match


def test_cells_and_genes_are_matched_by_name_whatever_their_order(fitted):
    velocity = np.arange(36.0).reshape(9, 4) + 1
    first, second = fitted(velocity), fitted(velocity)
    matched = match({"a": first, "b": second[::-1, [2, 0, 3, 1]].copy()})
    assert np.array_equal(matched.velocities["a"], matched.velocities["b"])
    assert np.array_equal(matched.arrows["a"], matched.arrows["b"])
    assert list(matched.reference.obs_names) == list(first.obs_names)
    assert matched.warnings == []


def test_the_share_is_told(fitted):
    matched = match({"a": fitted(), "b": fitted()[:, :3].copy()})
    assert matched.reference.shape == (9, 3)
    assert matched.facts.loc["a", ["share_of_cells", "share_of_genes"]].tolist() == [1, 0.75]
    assert matched.warnings == ["Of a, 100% of the cells and 75% of the genes are shared by all and scored."]


@pytest.mark.slow
def test_a_graph_that_lost_cells_is_made_anew(fitted):
    matched = match({"a": fitted(), "b": fitted()[::2].copy()})
    assert matched.reference.n_obs == 5
    assert "Of a, 56% of the cells and 100% of the genes are shared by all and scored." in matched.warnings
    assert any("graph was computed anew" in warning for warning in matched.warnings)
    neighbors = np.diff(matched.reference.obsp[keys.DISTANCES].indptr)
    assert neighbors.min() * 2 > neighbors.max()


@pytest.mark.parametrize(("names", "what", "n"), [("obs_names", "cell", 9), ("var_names", "gene", 4)])
def test_under_half_of_the_smaller_is_an_error(fitted, names, what, n):
    other = fitted()
    kept = (n - 1) // 2
    setattr(other, names, [f"{what}{i}" if i < kept else f"other{i}" for i in range(n)])
    message = f"share {kept} of the {n} {what}s of a, the smallest; at least 50% are needed"
    with pytest.raises(InputError, match=message):
        match({"a": other, "b": fitted()})


def test_nothing_shared_is_an_error(fitted):
    other = fitted()
    other.obs_names = [f"other{i}" for i in range(9)]
    with pytest.raises(InputError, match="share 0 of the 9 cells"):
        match({"a": fitted(), "b": other})


def test_one_shared_cell_has_no_neighbours(fitted):
    with pytest.raises(InputError, match=r"share 1 cell.*at least 3"):
        match({"a": fitted(), "b": fitted()[:1].copy()})


def test_duplicates_are_refused(fitted):
    twice = fitted()
    twice.var_names = ["gene0", "gene1", "gene1", "gene3"]
    with pytest.raises(InputError, match="gene name 'gene1' occurs twice in b"):
        match({"a": fitted(), "b": twice})


def test_another_grouping_is_an_error(fitted):
    other = fitted()
    other.obs[keys.CLUSTERS] = list("AAABBBBBC")
    with pytest.raises(InputError, match="sorts 1 cell of 9 into other groups in b than in a"):
        match({"a": fitted(), "b": other})


def test_a_cell_without_group_is_in_no_other_group(fitted):
    first, other = fitted(), fitted()
    groups = first.obs[keys.CLUSTERS].astype(str)
    other.obs[keys.CLUSTERS] = [None, *groups[1:8], np.nan]
    assert list(match({"a": first, "b": other}).groups) == list(groups)


@pytest.mark.parametrize("column", [[0.0, 1.0, 2.0], ["0", "1 ", "2"], ["0.0", "1.0", "2.0"], [0, 1, 2]])
def test_groups_are_the_same_however_they_are_stored(fitted, column):
    first, other = fitted(), fitted()
    first.obs[keys.CLUSTERS] = pd.Categorical(np.repeat(["0", "1", "2"], 3))
    other.obs[keys.CLUSTERS] = np.repeat(column, 3)
    assert list(match({"a": first, "b": other}).groups.cat.categories) == ["0", "1", "2"]


def test_a_result_without_the_grouping_takes_that_of_the_first(fitted):
    other = fitted()
    del other.obs[keys.CLUSTERS]
    matched = match({"a": fitted(), "b": other})
    assert any("b has no grouping 'clusters'" in warning for warning in matched.warnings)
    with pytest.raises(InputError, match="no grouping 'clusters'"):
        match({"b": other, "a": fitted()})


def test_a_result_without_velocities_is_an_error(fitted):
    bare = fitted()
    del bare.layers[keys.VELOCITY]
    with pytest.raises(InputError, match="b has no velocities"):
        match({"a": fitted(), "b": bare})


def test_genes_that_are_no_velocity_genes_have_no_velocity(fitted):
    some = fitted()
    some.var[keys.VELOCITY_GENES] = [True, False, True, True]
    some.layers[keys.VELOCITY][:5, 3] = np.nan
    matched = match({"a": some})
    assert np.isfinite(matched.velocities["a"]).all(axis=0).tolist() == [True, False, True, False]
    assert matched.facts.loc["a", "n_velocity_genes"] == 2


def test_a_missing_velocity_is_no_movement_and_told(fitted):
    some = fitted()
    some.layers[keys.VELOCITY][2, 0] = np.nan
    some.layers[keys.VELOCITY][3, 1] = np.inf
    matched = match({"a": some, "b": fitted()})
    assert matched.facts["n_velocity_genes"].tolist() == [4, 4]
    assert matched.velocities["a"][2].tolist() == [0, 0, 0, 0]
    assert [w for w in matched.warnings if "2 velocities of a are missing" in w]


def test_a_cell_without_any_velocity_is_left_out(fitted):
    some = fitted()
    some.layers[keys.VELOCITY][4] = np.nan
    matched = match({"a": fitted(), "b": some})
    assert list(matched.reference.obs_names) == [f"cell{i}" for i in range(9) if i != 4]
    assert any("1 cell without any velocity in b" in warning for warning in matched.warnings)


def test_cells_without_coordinates_do_not_cost_the_others_their_arrows(fitted):
    some = fitted()
    for key in (keys.X_UMAP, keys.velocity_embedding("umap")):
        some.obsm[key][3] = np.nan
    matched = match({"a": some, "b": some.copy()})
    assert np.isfinite(matched.arrows["a"]).all(axis=1).sum() == 8


def test_smoothing_averages_all_alike_over_the_graph_of_the_first(fitted, field):
    alternating = fitted(field([1.0, 0, 0, 0], [-1.0, 0, 0, 0]))
    alternating.layers[keys.VELOCITY][:, 3] = np.nan
    matched = match({"a": alternating, "b": fitted()})
    once = matched.smoothed(1)
    # a cell and two neighbours of the other sign, equally weighted
    assert once.velocities["a"][:, 0].tolist() == pytest.approx([-1 / 3, 1 / 3] * 4 + [-1 / 3])
    assert np.isnan(once.velocities["a"][:, 3]).all()
    assert once.velocities["b"][:, 0].tolist() == pytest.approx([1] * 9)
    assert (once.smooth, once.arrows) == (1, None)
    assert matched.smoothed(None) is matched
    assert matched.smoothed(2).velocities["a"][0, 0] == pytest.approx(1 / 9)


@pytest.mark.parametrize("times", [-1, 3])
def test_other_numbers_of_averagings_are_refused(fitted, times):
    with pytest.raises(InputError, match=f"Got {times}. Choose 0, 1 or 2"):
        match({"a": fitted()}).smoothed(times)


def test_arrows_on_another_embedding_are_not_used_for_anyone(fitted):
    moved = fitted()
    moved.obsm[keys.X_UMAP] = moved.obsm[keys.X_UMAP] + 1
    assert match({"a": fitted(), "b": moved}).arrows is None


SMOOTHED = {"smooth_velocity": 2}


def with_rates(adata, *, beta=2.0, gamma=0.5):
    """Rates and unspliced moments beside the spliced ones there are: 3 everywhere."""
    for key, value in ((keys.BETA, beta), (keys.GAMMA, gamma), (keys.MU, 3.0)):
        adata.layers[key] = np.full(adata.shape, value, dtype=np.float32)
    return adata


def test_smoothing_within_the_fits_is_told_where_it_differs(fitted):
    ours, theirs = with_rates(fitted(graph=SMOOTHED)), fitted(method="stochastic", graph=SMOOTHED)
    matched = match({"ours": ours, "theirs": theirs})
    (warning,) = matched.smoothing_warnings()
    assert "averaged over the graph: ours 2, theirs 0;" in warning
    assert "cannot be ranked as fitted: choose 0, 1 or 2" in warning
    assert match({"a": ours, "b": ours}).smoothing_warnings() == []


def test_what_our_fit_averaged_is_undone_before_all_are_averaged_alike(fitted):
    ours, theirs = with_rates(fitted(graph=SMOOTHED)), fitted(method="stochastic")
    ours.var[keys.VELOCITY_GENES] = [True, True, True, False]
    matched = match({"ours": ours, "theirs": theirs})
    raw = matched.smoothed(0)
    # 2 x 3 - 0.5 x spliced, which are the cell's place and 5s
    assert raw.velocities["ours"][:, 0].tolist() == [6 - place / 2 for place in range(9)]
    assert raw.velocities["ours"][:, 1].tolist() == [3.5] * 9
    assert np.isnan(raw.velocities["ours"][:, 3]).all()
    assert np.array_equal(raw.velocities["theirs"], theirs.layers[keys.VELOCITY])
    assert raw.equally_smooth
    assert not matched.equally_smooth
    assert raw.smoothing_warnings() == []
    # of a cell and its neighbours at 0 and 2
    assert matched.smoothed(1).velocities["ours"][1, 0] == pytest.approx(6 - 1 / 2)


def test_smoothing_that_cannot_be_undone_is_said(fitted):
    matched = match({"ours": fitted(graph=SMOOTHED), "theirs": fitted(method="stochastic")}).smoothed(1)
    assert not matched.equally_smooth
    (warning,) = matched.smoothing_warnings()
    assert warning.startswith("ours was smoothed by its fit, which cannot be undone without its rates")


def test_averaged_moments_are_smoothing_too(fitted):
    ours, theirs = with_rates(fitted(graph={"smooth_inputs": 1})), fitted(method="stochastic")
    matched = match({"ours": ours, "theirs": theirs})
    assert not matched.equally_smooth
    assert matched.smoothed(0).equally_smooth
    assert match({"a": ours, "b": ours}).equally_smooth


@pytest.mark.slow
def test_without_an_embedding_or_graph(fitted):
    bare = fitted()
    for key in list(bare.obsm):
        del bare.obsm[key]
    for key in list(bare.obsp):
        del bare.obsp[key]
    del bare.uns[keys.NEIGHBORS]
    matched = match({"a": bare})
    assert matched.basis is None
    assert matched.reference.obsp[keys.DISTANCES].nnz > 0
    assert len(matched.warnings) == 2


def test_no_result(fitted):
    with pytest.raises(InputError, match="no result"):
        match({})
    with pytest.raises(InputError, match="no embedding 'tsne'"):
        match({"a": fitted()}, basis="tsne")
    with pytest.raises(InputError, match="no grouping 'types'"):
        match({"a": fitted()}, cluster_key="types")
