"""The shuffled control and fewer genes, on counts small enough to follow."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from deepvelo import config, keys
from deepvelo.datasets.derived import most_variable, shuffled_control, steady_state_control
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError
from deepvelo.pp.prepare import prepare

SETTINGS = config.Settings()


@pytest.fixture(scope="module")
def prepared() -> AnnData:
    counts = simulate(kind="branch", n_cells=120, n_genes=60, depth=6000, seed=0)
    return prepare(counts, SETTINGS, cluster_key=keys.CLUSTERS)


@pytest.fixture(scope="module")
def control(prepared) -> AnnData:
    return shuffled_control(prepared, SETTINGS, group_key=keys.CLUSTERS, seed=1)


def unspliced(adata: AnnData) -> np.ndarray:
    return adata.layers[keys.UNSPLICED].toarray()


def test_molecules_change_cells_within_their_group_only(prepared, control):
    old, new = unspliced(prepared), unspliced(control)
    assert (old != new).any()
    assert np.array_equal(old.sum(axis=1), new.sum(axis=1))
    for group in prepared.obs[keys.CLUSTERS].unique():
        members = (prepared.obs[keys.CLUSTERS] == group).to_numpy()
        assert np.array_equal(old[members].sum(axis=0), new[members].sum(axis=0))


def test_what_a_cell_tells_beyond_its_group_and_depth_is_lost(prepared, control):
    groups = prepared.obs[keys.CLUSTERS].to_numpy()

    def agreement(adata: AnnData) -> float:
        """Mean correlation of u and s within groups, over genes, of shares of the cell's counts."""
        found = []
        for group in np.unique(groups):
            u, s = (adata.layers[key].toarray()[groups == group] for key in (keys.UNSPLICED, keys.SPLICED))
            u, s = u / u.sum(axis=1, keepdims=True), s / s.sum(axis=1, keepdims=True)
            u, s = u - u.mean(axis=0), s - s.mean(axis=0)
            with np.errstate(invalid="ignore"):
                found.append((u * s).sum(axis=0) / np.sqrt((u**2).sum(axis=0) * (s**2).sum(axis=0)))
        return float(np.nanmean(found))

    assert agreement(prepared) > 0.05
    assert abs(agreement(control)) < 0.03


def test_spliced_counts_genes_and_embedding_stay_and_the_original_is_untouched(prepared, control):
    before = prepared.copy()
    shuffled_control(prepared, SETTINGS, group_key=keys.CLUSTERS, seed=2)
    assert np.array_equal(unspliced(before), unspliced(prepared))
    assert np.array_equal(before.layers[keys.MU], prepared.layers[keys.MU])
    assert (prepared.layers[keys.SPLICED] != control.layers[keys.SPLICED]).nnz == 0
    assert control.var_names.equals(prepared.var_names)
    assert np.array_equal(control.obsm[keys.X_UMAP], prepared.obsm[keys.X_UMAP])
    assert control.obs[keys.CLUSTERS].equals(prepared.obs[keys.CLUSTERS])


def test_moments_and_neighbours_are_those_of_the_shuffled_counts(prepared, control):
    assert (prepared.obsp[keys.DISTANCES] != control.obsp[keys.DISTANCES]).nnz > 0
    again = prepare(
        AnnData(obs=control.obs, var=control.var, layers={k: control.layers[k] for k in (keys.SPLICED, keys.UNSPLICED)}),
        config.replace(SETTINGS, {"preparation": {"min_shared_counts": 0}}),
        cluster_key=keys.CLUSTERS,
    )  # fmt: skip
    assert np.array_equal(again.layers[keys.MU], control.layers[keys.MU])


@pytest.mark.parametrize(
    ("asked", "used"),
    [("X_harmony", "X_harmony"), ("own", "X_pca"), ("neighbors", "X_harmony"), ("auto", "X_harmony")],
)
def test_controls_are_compared_in_what_does_not_come_from_unspliced_counts(prepared, asked, used):
    adata = prepared.copy()
    adata.obsm["X_harmony"] = adata.obsm["X_pca"][:, ::-1].copy()
    settings = config.replace(SETTINGS, {"preparation": {"compare_in": asked}})
    found = shuffled_control(adata, settings, group_key=keys.CLUSTERS, seed=1)
    assert found.uns["neighbors"]["params"]["use_rep"] == used


def test_the_seed_decides(prepared, control):
    same, other = (
        shuffled_control(prepared, SETTINGS, group_key=keys.CLUSTERS, seed=seed) for seed in (1, 2)
    )
    assert np.array_equal(control.layers[keys.MU], same.layers[keys.MU])
    assert not np.array_equal(control.layers[keys.MU], other.layers[keys.MU])


def test_values_that_are_no_counts_change_cells_as_whole_profiles(prepared):
    halves = prepared.copy()
    for key in (keys.SPLICED, keys.UNSPLICED):
        halves.layers[key] = halves.layers[key] * 0.3
    shuffled = shuffled_control(halves, SETTINGS, group_key=keys.CLUSTERS, seed=1)
    old, new = unspliced(halves), unspliced(shuffled)
    assert (old != new).any()
    for group in prepared.obs[keys.CLUSTERS].unique():
        members = np.flatnonzero(prepared.obs[keys.CLUSTERS] == group)
        assert sorted(map(tuple, old[members])) == sorted(map(tuple, new[members]))


def counts_of(unspliced, spliced) -> AnnData:
    return AnnData(layers={keys.UNSPLICED: np.array(unspliced), keys.SPLICED: np.array(spliced)})


@pytest.fixture
def dealt(monkeypatch):
    """The unspliced counts of the steady-state control, not prepared: four cells are too few for that."""
    from deepvelo.datasets import derived

    monkeypatch.setattr(derived, "_prepare_again", lambda _, unspliced, *__, **___: unspliced.toarray())
    return lambda u, s, seed=0: steady_state_control(counts_of(u, s), SETTINGS, group_key="", seed=seed)


def test_at_rest_every_gene_lies_on_its_line_but_for_counting_noise(dealt):
    spliced = np.random.default_rng(0).integers(0, 50, size=(400, 3))
    ratio = np.array([0.2, 1.0, 3.0])
    expected = spliced * ratio
    unspliced = np.round(expected)[::-1].astype(int)  # the right ratios in the wrong cells
    new = dealt(unspliced, spliced)
    assert (new[spliced == 0] == 0).all()
    off = ((new - expected) / np.sqrt(np.where(expected, expected, np.inf))).T
    counted = expected.T > 0
    for gene, ratio_of_gene in enumerate(ratio):
        assert off[gene][counted[gene]].mean() == pytest.approx(0, abs=0.15), ratio_of_gene
        assert off[gene][counted[gene]].std() == pytest.approx(1, abs=0.1), ratio_of_gene
    assert np.array_equal(new, dealt(unspliced, spliced))
    assert not np.array_equal(new, dealt(unspliced, spliced, seed=1))


def test_at_rest_a_cells_number_of_unspliced_molecules_follows_its_spliced_ones(dealt):
    spliced = np.tile([[100.0, 300.0], [300.0, 100.0]], (200, 1))
    unspliced = np.tile([[400.0, 0.0], [0.0, 0.0]], (200, 1))  # all in every other cell
    new = dealt(unspliced, spliced)
    # one unspliced molecule a spliced one, over all cells
    assert new[::2, 0].mean() == pytest.approx(100, rel=0.05)
    assert new[1::2, 0].mean() == pytest.approx(300, rel=0.05)
    assert (new[:, 1] == 0).all()


def test_at_rest_scaled_values_stay_multiples_of_the_cells_unit(dealt):
    unit = np.array([[0.25], [1.5], [1.0]])
    new = dealt(unit * [[40, 80], [60, 1], [0, 0]], [[30, 60.5], [10, 20], [4, 4]])
    smallest = np.array([[10.0], [1.5], [1.0]])
    assert new / smallest == pytest.approx(np.round(new / smallest))
    assert new[:, 0].min() > 0


def test_a_steady_state_control_is_prepared_anew(prepared):
    control = steady_state_control(prepared, SETTINGS, group_key=keys.CLUSTERS, seed=0)
    assert unspliced(control).sum() == pytest.approx(unspliced(prepared).sum(), rel=0.02)
    assert (prepared.layers[keys.SPLICED] != control.layers[keys.SPLICED]).nnz == 0
    assert not np.array_equal(prepared.layers[keys.MU], control.layers[keys.MU])
    assert np.array_equal(prepared.obsm[keys.X_UMAP], control.obsm[keys.X_UMAP])


@pytest.mark.slow
def test_fewer_genes_are_those_that_preparation_would_choose():
    counts = simulate(kind="linear", n_cells=80, n_genes=60, depth=2000, seed=0)
    whole = prepare(counts, SETTINGS, cluster_key=keys.CLUSTERS)
    few = prepare(counts, config.replace(SETTINGS, {"preparation": {"n_top_genes": 25}}))
    chosen = most_variable(whole, 25)
    assert chosen.n_vars == 25
    assert len(set(chosen.var_names) & set(few.var_names)) >= 23  # sizes are totals over other genes
    assert np.array_equal(chosen.layers[keys.MU], whole[:, chosen.var_names].layers[keys.MU])
    assert (chosen.obsp[keys.DISTANCES] != whole.obsp[keys.DISTANCES]).nnz == 0
    with pytest.raises(InputError, match=rf"Found {whole.n_vars} in the run"):
        most_variable(whole, 61)
