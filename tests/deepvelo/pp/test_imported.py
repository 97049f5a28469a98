"""Results of other tools as a fit would leave them: what they bring is kept, what is missing is computed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo import config, keys
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError
from deepvelo.pp.imported import prepare_imported
from deepvelo.pp.prepare import prepare

IMPORTED = config.replace(config.Settings(), {"method": "imported"})
SMALL = config.replace(
    config.Settings(),
    {
        "preparation": {"min_shared_counts": 1, "n_neighbors": 3},
        "graph": {"n_neighbors": 3, "n_candidates": 4},
    },
)


@pytest.fixture
def result(fitted):
    """The nine cells in a row as another tool leaves them, without counts."""
    adata = fitted(method=None)
    adata.layers[keys.MS] += 1
    adata.layers[keys.MU] = adata.layers[keys.MS] / 2
    return adata


def test_what_the_result_brings_is_kept(result):
    out = prepare_imported(result, IMPORTED)
    assert np.array_equal(out.layers[keys.VELOCITY], result.layers[keys.VELOCITY])
    assert np.array_equal(out.layers[keys.MS], result.layers[keys.MS])
    assert (out.obsp[keys.DISTANCES] != result.obsp[keys.DISTANCES]).nnz == 0
    assert np.array_equal(out.obsm[keys.X_UMAP], result.obsm[keys.X_UMAP])
    assert out.var[keys.VELOCITY_GENES].all()
    assert keys.SPLICED not in result.layers
    assert any("stand in for counts" in note for note in stored_notes(out))


def test_gaps_are_no_movement_and_genes_without_velocity_stay_so(result):
    result.layers[keys.VELOCITY][2, 0] = np.nan
    result.layers[keys.VELOCITY][4] = np.nan
    result.var["use_for_dynamics"] = [True, True, False, False]
    out = prepare_imported(result, IMPORTED)
    assert out.layers[keys.VELOCITY][:, 0].tolist() == [1, 1, 0, 1, 0, 1, 1, 1, 1]
    assert np.isnan(out.layers[keys.VELOCITY][:, 2:]).all()
    notes = " ".join(stored_notes(out))
    assert "1 velocities are missing" in notes
    assert "1 cell without any velocity" in notes


def test_another_layer_is_taken_by_its_name(result):
    result.layers["second"] = 3 * result.layers[keys.VELOCITY]
    out = prepare_imported(result, config.replace(IMPORTED, {"layer": "second"}))
    assert out.layers[keys.VELOCITY][:, 0].tolist() == [3] * 9


def test_moments_are_made_of_the_counts_where_there_are_none(result):
    for counts, moments in ((keys.SPLICED, keys.MS), (keys.UNSPLICED, keys.MU)):
        result.layers[counts] = sparse.csr_matrix(np.ceil(result.layers.pop(moments)))
    result.layers[keys.VELOCITY][:, 3] = np.nan
    out = prepare_imported(result, IMPORTED)
    assert list(out.var_names) == ["gene0", "gene1", "gene2"]
    assert np.isfinite(out.layers[keys.MS]).all()


def test_rates_are_kept_where_they_differ_between_cells(result):
    for key in (keys.BETA, keys.GAMMA):
        result.layers[key] = np.ones(result.shape, dtype=np.float32)
    assert keys.BETA not in prepare_imported(result, IMPORTED).layers
    result.layers[keys.GAMMA][:, 0] = np.arange(9)
    assert prepare_imported(result, IMPORTED).layers[keys.GAMMA][:, 0].tolist() == list(range(9))


def test_a_result_without_velocities_is_one_sentence(result):
    result.layers[keys.VELOCITY][:] = np.nan
    with pytest.raises(InputError, match="in none of the 4 genes"):
        prepare_imported(result, IMPORTED)
    del result.layers[keys.VELOCITY]
    with pytest.raises(InputError, match=r"no velocities.*'Ms', 'Mu'"):
        prepare_imported(result, IMPORTED)


def test_velocities_alone_are_not_enough(result):
    del result.layers[keys.MS], result.layers[keys.MU]
    with pytest.raises(InputError, match=r"'spliced', 'unspliced' missing.*'velocity'.*'Ms', 'Mu'"):
        prepare_imported(result, IMPORTED)


@pytest.fixture
def scaled(result):
    """Moments from 0 to 1 in every gene, beside counts that say otherwise, as veloVI leaves them."""
    rng = np.random.default_rng(0)
    for counts, moments in ((keys.SPLICED, keys.MS), (keys.UNSPLICED, keys.MU)):
        result.layers[counts] = sparse.csr_matrix(rng.poisson(20, result.shape).astype(np.float32))
        values = result.layers[counts].toarray()
        result.layers[moments] = (values - values.min(0)) / np.ptp(values, axis=0)
    return result


def test_scaled_moments_stay_in_the_units_of_the_velocities(scaled):
    out = prepare_imported(scaled, IMPORTED)
    assert np.array_equal(out.layers[keys.MS], scaled.layers[keys.MS])
    assert prepare(scaled, SMALL).layers[keys.MS].max() > 2


def test_missing_moments_are_the_mean_of_their_gene(result):
    for key in (keys.MS, keys.MU, keys.VELOCITY):
        result.layers[key][2, 0] = np.nan
        result.layers[key][1:, 3] = np.nan
    out = prepare_imported(result, IMPORTED)
    assert list(out.var_names) == ["gene0", "gene1", "gene2"]
    assert out.layers[keys.MS][2, 0] == pytest.approx(np.nanmean(result.layers[keys.MS][:, 0]))
    assert out.layers[keys.VELOCITY][2, 0] == 0
    assert any("2 missing moments" in note for note in stored_notes(out))


def test_memory_is_asked_for_before_matrices_are_made_dense(result, monkeypatch):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 0)
    monkeypatch.setattr("deepvelo.pp.imported._dense", None)
    with pytest.raises(InputError, match="9 cells and 4 genes needs about"):
        prepare_imported(result, IMPORTED)
