"""scVelo's modes on a gene whose answer is known, and after another fit has left its traces."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys, tl
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import CancelledError, InputError
from deepvelo.pp.prepare import prepare
from deepvelo.tl.velocity import baselines

MODES = ("steady_state", "stochastic", "dynamical")


@pytest.fixture(scope="module")
def cells() -> AnnData:
    simulated = simulate(kind="linear", n_cells=120, n_genes=60, depth=400, seed=0)
    return prepare(simulated, config.Settings(), cluster_key=keys.CLUSTERS)


def hand_made(n_cells: int = 101) -> AnnData:
    """Gene A on the line u = 0.5 s but for one bend, gene B on u = 0.2 s, gene C noise without a line."""
    s = np.linspace(0, 10, n_cells)
    u = np.column_stack([0.5 * s, 0.2 * s, np.random.default_rng(0).permutation(s)])
    u[50, 0] += 1.0
    layers = {keys.MS: np.column_stack([s, s, np.full(n_cells, 1.0)]), keys.MU: u}
    adata = AnnData(np.zeros((n_cells, 3)), layers=layers)
    ends = n_cells - 1  # a ring: every cell has two neighbours
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(n_cells, n_cells), format="csr")
    adata.obsp[keys.CONNECTIVITIES], adata.obsp[keys.DISTANCES] = ring, ring.copy()
    adata.uns[keys.NEIGHBORS] = {
        "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
        "params": {"n_neighbors": 2, "method": "umap"},
    }
    return adata


def test_steady_state_velocity_is_what_lies_above_the_line():
    adata = hand_made()
    tl.scvelo_velocity(adata, mode="steady_state")
    velocity = adata.layers[keys.VELOCITY]
    assert adata.var["velocity_gamma"][:2].tolist() == pytest.approx([0.5, 0.2])
    assert velocity[50, 0] == pytest.approx(1.0, abs=1e-5)
    assert np.delete(velocity[:, 0], 50) == pytest.approx(0, abs=1e-5)
    assert velocity[:, 1] == pytest.approx(0, abs=1e-5)
    assert adata.var[keys.VELOCITY_GENES].tolist() == [True, True, False]
    assert np.isnan(velocity[:, 2]).all()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_velocity_is_finite_in_velocity_genes_and_nan_in_the_others(cells, mode, capsys):
    adata = cells.copy()
    tl.scvelo_velocity(adata, mode=mode)
    chosen = adata.var[keys.VELOCITY_GENES].to_numpy()
    velocity = adata.layers[keys.VELOCITY]
    assert velocity.dtype == np.float32
    assert chosen.dtype == bool
    assert 2 < chosen.sum() <= adata.n_vars
    assert np.isfinite(velocity[:, chosen]).all()
    assert np.isnan(velocity[:, ~chosen]).all()
    assert ("fit_gamma" if mode == "dynamical" else "velocity_gamma") in adata.var
    tl.velocity_graph(adata)  # scVelo goes on from here
    tl.velocity_embedding(adata, basis="umap")
    assert np.isfinite(adata.obsm["velocity_umap"]).all()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("mode", [*MODES[:2], pytest.param(MODES[2], marks=pytest.mark.slow)])
def test_an_earlier_fit_leaves_no_trace(cells, mode):
    fresh, used = cells.copy(), cells.copy()
    tl.scvelo_velocity(fresh, mode=mode)
    # every gene a velocity gene, as ours has it; fits and graphs of an older file
    used.var[keys.VELOCITY_GENES] = True
    used.var["fit_alpha"], used.var["fit_r2"] = 5.0, 1.0
    used.layers["fit_t"] = np.ones(used.shape)
    used.layers[keys.BETA] = np.ones(used.shape)
    used.obsp["velocity_graph"] = sparse.eye(used.n_obs, format="csr")
    tl.scvelo_velocity(used, mode=mode)
    assert np.array_equal(used.layers[keys.VELOCITY], fresh.layers[keys.VELOCITY], equal_nan=True)
    assert used.var.equals(fresh.var[list(used.var)])
    assert keys.BETA not in used.layers
    assert "velocity_graph" not in used.obsp


def test_stochastic_takes_normalised_counts_and_leaves_the_counts_alone(cells):
    """Second moments of counts of other sizes than the moments would give another line."""
    counts, deeper = cells.copy(), cells.copy()
    before = counts.layers[keys.SPLICED].copy()
    deeper.layers[keys.SPLICED] = 10 * deeper.layers[keys.SPLICED]
    deeper.layers[keys.UNSPLICED] = 10 * deeper.layers[keys.UNSPLICED]
    for adata in (counts, deeper):
        tl.scvelo_velocity(adata, mode="stochastic")
    assert (counts.layers[keys.SPLICED] != before).nnz == 0
    assert counts.layers[keys.VELOCITY] == pytest.approx(deeper.layers[keys.VELOCITY], nan_ok=True, abs=1e-4)


@pytest.mark.parametrize(
    ("missing", "mode"), [(keys.MS, "steady_state"), (keys.UNSPLICED, "stochastic"), (keys.MU, "dynamical")]
)
def test_a_missing_layer_is_named(cells, missing, mode):
    adata = cells.copy()
    del adata.layers[missing]
    with pytest.raises(InputError, match=rf"\['{missing}'\].*pp\.moments"):
        tl.scvelo_velocity(adata, mode=mode)


def test_an_object_without_neighbours_is_refused(cells):
    adata = cells.copy()
    del adata.obsp[keys.CONNECTIVITIES]
    with pytest.raises(InputError, match="neighbour graph"):
        tl.scvelo_velocity(adata, mode="steady_state")


def test_an_unknown_mode_names_the_known(cells):
    with pytest.raises(InputError, match=r"steady_state.*Got 'bayes'"):
        tl.scvelo_velocity(cells, mode="bayes")


def few_genes(cells: AnnData) -> AnnData:
    return cells[:, :24].copy()


@pytest.mark.slow
def test_dynamics_fitted_block_by_block_are_those_fitted_in_one_go(cells, monkeypatch):
    import scvelo as scv

    in_one_go, in_blocks, told = few_genes(cells), few_genes(cells), []
    scv.tl.recover_dynamics(in_one_go, n_jobs=1, show_progress_bar=False)
    scv.tl.velocity(in_one_go, mode="dynamical")
    monkeypatch.setattr(baselines, "_BLOCK_GENES", 5)
    tl.scvelo_velocity(in_blocks, mode="dynamical", on_genes=lambda *genes: told.append(genes))
    total = told[-1][0]
    assert total > 5
    assert told == [*((done, total) for done in range(0, total, 5)), (total, total)]
    assert in_blocks.var.equals(in_one_go.var)
    for key in ("fit_t", "fit_tau", "fit_tau_"):
        assert np.array_equal(in_blocks.layers[key], in_one_go.layers[key], equal_nan=True)
    assert np.array_equal(in_blocks.varm["loss"], in_one_go.varm["loss"], equal_nan=True)
    chosen = in_one_go.var[keys.VELOCITY_GENES].to_numpy()
    for key in (keys.VELOCITY, keys.VELOCITY_U):
        assert in_blocks.layers[key].dtype == np.float32
        expected = in_one_go.layers[key].astype(np.float32)
        assert np.array_equal(in_blocks.layers[key][:, chosen], expected[:, chosen])
        assert np.isnan(in_blocks.layers[key][:, ~chosen]).all()


def test_dynamics_can_be_cancelled_between_blocks(cells, monkeypatch):
    fitted = []
    monkeypatch.setattr(baselines, "_BLOCK_GENES", 2)
    monkeypatch.setattr(baselines, "_fit_genes", lambda adata, genes: fitted.extend(genes))

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise CancelledError

    with pytest.raises(CancelledError):
        tl.scvelo_velocity(cells.copy(), mode="dynamical", on_genes=stop)
    assert len(fitted) == 4


@pytest.mark.slow
def test_a_gene_that_scvelo_fails_at_is_named(cells, monkeypatch):
    from scvelo.tools._em_model_core import DynamicsRecovery

    adata, fit = few_genes(cells), DynamicsRecovery.fit
    guilty = adata.var_names[3]

    def fails_at_one(self: DynamicsRecovery, **options: object) -> None:
        if self.gene == guilty:
            raise FloatingPointError("not a curve.\nsecond line")
        fit(self, **options)

    monkeypatch.setattr(DynamicsRecovery, "fit", fails_at_one)
    sentence = (
        rf"^scVelo's dynamical mode failed at gene {guilty} \(FloatingPointError: not a curve\)\. Choose"
    )
    with pytest.raises(InputError, match=sentence) as error:
        tl.scvelo_velocity(adata, mode="dynamical")
    assert "\n" not in str(error.value)


def test_what_scvelo_raises_is_one_sentence_with_mode_and_step(cells, monkeypatch):
    import scvelo as scv

    def fails(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(scv.tl, "velocity", fails)
    sentence = r"scVelo's stochastic mode failed at the velocities \(IndexError: list index out of range\)"
    with pytest.raises(InputError, match=sentence):
        tl.scvelo_velocity(cells.copy(), mode="stochastic")


def test_memory_that_runs_out_is_no_fault_of_scvelo():
    with pytest.raises(MemoryError), baselines.scvelo_errors("dynamical", "the velocities"):
        raise MemoryError


@pytest.mark.parametrize("mode", ["steady_state", "dynamical"])
def test_data_without_a_gene_fit_for_velocities_are_refused(mode):
    adata = hand_made()
    for key in (keys.MS, keys.MU):
        adata.layers[key] = np.zeros_like(adata.layers[key])
    with pytest.raises(InputError, match=rf"scVelo's {mode} mode (finds none of the 3 genes|failed at)"):
        tl.scvelo_velocity(adata, mode=mode)
