from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.datasets import shipped
from deepvelo.datasets.genes import SHOWCASE
from deepvelo.datasets.simulation import draw
from deepvelo.datasets.truth import Truth
from deepvelo.errors import InputError


@pytest.fixture(scope="module")
def with_truth() -> AnnData:
    return shipped.load_truth()


def totals(adata: AnnData, layer: str) -> np.ndarray:
    return np.asarray(adata.layers[layer].sum(axis=1)).ravel()


def test_shipped_files_hold_counts_here_and_truth_there():
    adata = shipped.sample()
    assert adata.shape == (3000, 800)
    assert set(adata.layers) == {keys.SPLICED, keys.UNSPLICED}
    assert list(adata.obs) == [keys.CLUSTERS]
    assert not adata.var.columns.any()
    assert len(adata.obsm) == 0
    assert "simulated" in shipped.path().name
    assert "not measured" in adata.uns[keys.SIMULATION]["note"]
    assert adata.var_names.str.startswith("Sim").all()
    assert sum(file.stat().st_size for file in (shipped.path(), shipped.truth_path())) < 8e6


@pytest.mark.slow
def test_counts_are_as_sparse_as_a_droplet_experiment(with_truth):
    spliced, unspliced = totals(with_truth, keys.SPLICED), totals(with_truth, keys.UNSPLICED)
    assert 1500 < np.median(spliced) < 3000
    assert 0.10 < unspliced.sum() / (spliced + unspliced).sum() < 0.25
    by_group = (
        pd.Series(unspliced / (spliced + unspliced)).groupby(with_truth.obs[keys.CLUSTERS].to_numpy()).mean()
    )
    assert by_group.between(0.10, 0.25).all()
    assert np.ptp(by_group) > 0.03, "groups differ, as in real tissue"
    assert 0.3 < np.log(spliced).std() < 0.6, "library size"
    per_gene = np.asarray(with_truth.layers[keys.SPLICED].mean(axis=0)).ravel()
    assert per_gene.mean() > 1.5 * np.median(per_gene), "heavy tail"
    assert per_gene.min() > 0


def test_groups_are_those_of_the_dentate_gyrus(with_truth, shared_data):
    real = pd.read_csv(shared_data / "dentate_gyrus_full_umap.csv")["cluster"].value_counts(normalize=True)
    ours = with_truth.obs[keys.CLUSTERS].value_counts(normalize=True)
    assert len(ours) >= 12
    assert set(real.index) <= set(ours.index)
    assert (ours[real.index] - real).abs().max() < 0.02


def test_rates_truly_differ_where_said(with_truth):
    assert with_truth.var[keys.RATES_DIFFER].sum() >= 60
    ratio = np.log(with_truth.layers[keys.TRUE_GAMMA] / with_truth.layers[keys.TRUE_BETA])
    spread = np.ptp(ratio, axis=0)
    differ = with_truth.var[keys.RATES_DIFFER].to_numpy()
    assert (spread[differ] > np.log(1.5)).all()
    assert (spread[~differ] < 1e-5).all()


def test_lineages_move_and_time_orders_their_stages(with_truth):
    time = with_truth.obs.groupby(keys.CLUSTERS, observed=True)[keys.TRUE_TIME].mean()
    granule = ["nIPC", "Neuroblast", "Granule immature", "Granule mature"]
    assert time[granule].is_monotonic_increasing
    assert time["OPC"] < time["OL"]
    velocity, turnover = np.abs(with_truth.layers[keys.TRUE_VELOCITY]), with_truth.layers[keys.TRUE_ALPHA]
    moves = pd.Series((velocity > 0.1 * turnover).mean(axis=1), index=with_truth.obs[keys.LINEAGE].to_numpy())
    share = moves.groupby(level=0).mean()
    assert share["Granule"] > 0.25
    assert share["Oligodendrocyte"] > 0.25
    assert share["Microglia"] < share["Granule"]


def test_showcase_gene_loops_in_granule_cells_and_rises_in_endothelial_ones(with_truth):
    gene = with_truth.var_names.get_loc(SHOWCASE)
    truth = Truth.load(shipped.truth_path())
    states, lineage = truth.states(), with_truth.obs[keys.LINEAGE].to_numpy()
    u, s, ds = states.u[:, gene], states.s[:, gene], states.ds[:, gene]

    granule = lineage == "Granule"
    middle = granule & (np.abs(s - 180) < 40)
    rising, falling = u[middle & (ds > 0)], u[middle & (ds < 0)]
    assert min(len(rising), len(falling)) > 50
    assert rising.min() > 2 * falling.max(), "the same spliced RNA on two arms of a loop"

    endothelial = lineage == "Endothelial"
    assert (ds[endothelial] > 0).all()
    slope = (truth.kinetics.gamma / truth.kinetics.beta)[:, gene]
    assert slope[truth.lineages.index("Endothelial")] < 0.5 * slope[truth.lineages.index("Granule")]
    # one line through the granule lineage would have every endothelial cell fall
    assert (u[endothelial] < slope[truth.lineages.index("Granule")] * s[endothelial]).all()
    counts = with_truth.layers[keys.SPLICED][:, gene].toarray().ravel()
    assert counts[endothelial].mean() > 10
    assert counts[granule].mean() > 10


@pytest.mark.parametrize("profile", ["even", "droplet"])
@pytest.mark.parametrize("kind", ["branch_rates", "regulated", "factors"])
def test_truth_survives_its_file_unchanged(tmp_path, kind, profile):
    _, truth = draw(kind=kind, n_cells=20, n_genes=15, depth=100, seed=4, profile=profile)
    truth.save(tmp_path / "truth.npz")
    again = Truth.load(tmp_path / "truth.npz")
    np.testing.assert_array_equal(truth.states().ds, again.states().ds)
    np.testing.assert_array_equal(truth.expected_counts(), again.expected_counts())
    assert truth.lineages == again.lineages


def test_a_file_that_is_no_truth_is_told(tmp_path):
    (tmp_path / "truth.npz").write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"truth.npz is not the truth of a simulation.*datasets\.shipped"):
        Truth.load(tmp_path / "truth.npz")


def test_a_missing_sample_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(
        InputError, match=r"simulated_dentate_gyrus.h5ad is not in .*python -m deepvelo\.datasets"
    ):
        shipped.sample()


def test_a_folder_that_cannot_be_written_is_told_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SETTINGS", shipped.SETTINGS | {"n_cells": 20, "n_genes": 20})
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not be written"):
        shipped.make(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_the_shipped_sample_is_made_again_from_its_seed(tmp_path: Path, with_truth):
    from deepvelo.io.read import read

    counts_file, truth_file = shipped.make(tmp_path)
    again = read(counts_file)
    for layer in (keys.SPLICED, keys.UNSPLICED):
        assert (again.layers[layer] != with_truth.layers[layer]).nnz == 0
    assert again.obs[keys.CLUSTERS].equals(with_truth.obs[keys.CLUSTERS])
    new, old = Truth.load(truth_file).states(), Truth.load(shipped.truth_path()).states()
    # the last digits of exp and log depend on the processor
    np.testing.assert_allclose(new.s, old.s, rtol=1e-9)
    np.testing.assert_allclose(new.ds, old.ds, rtol=1e-6, atol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {counts_file.name, truth_file.name}
