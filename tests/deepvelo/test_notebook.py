"""The functions of a notebook: what they write is what a run writes, and what they lack is told with its remedy."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields

import anndata as ad
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from scipy import sparse

import deepvelo as dv
from deepvelo import config, keys, workflow
from deepvelo.errors import InputError

CHANGES = {
    "seed": 3,
    "preparation": {"n_top_genes": 40, "n_neighbors": 15},
    "training": {"n_epochs": 8, "device": "cpu"},
}
SETTINGS = config.replace(config.Settings(), CHANGES)
pytestmark = pytest.mark.usefixtures("rough_rates_umap")


def counts():
    return dv.datasets.simulate(kind="linear", n_cells=120, n_genes=60, seed=1)


@pytest.fixture(scope="module")
def notebook():
    adata = counts()
    dv.pp.moments(adata, n_top_genes=40, n_neighbors=15, seed=3)
    dv.tl.velocity(adata, n_epochs=8, device="cpu", seed=3)
    dv.tl.velocity_graph(adata)
    dv.tl.latent_time(adata)
    dv.tl.velocity_embedding(adata)
    dv.tl.consistency(adata)
    dv.tl.confidence(adata)
    dv.tl.multikinetic_genes(adata)
    dv.tl.rates_umap(adata, n_neighbors=15, seed=3)
    return adata


@pytest.fixture(scope="module")
def run():
    return workflow.run(counts(), SETTINGS)


@pytest.mark.parametrize("part", ["layers", "obsm", "obsp"])
def test_matrices_are_those_of_a_run(notebook, run, part):
    expected = getattr(run.adata, part)
    for key in expected:
        found = getattr(notebook, part)[key]
        if sparse.issparse(found):
            assert (found != expected[key]).nnz == 0, key
        else:
            np.testing.assert_array_equal(found, expected[key], err_msg=key)


@pytest.mark.parametrize("part", ["obs", "var"])
def test_tables_are_those_of_a_run(notebook, run, part):
    expected = getattr(run.adata, part)
    pd.testing.assert_frame_equal(getattr(notebook, part)[expected.columns], expected)


def test_settings_history_and_scores_are_those_of_a_run(notebook, run):
    record = notebook.uns[keys.DEEPVELO]
    assert config.from_dict(json.loads(record["settings"])) == SETTINGS
    assert (record["cluster_key"], record["basis"]) == ("clusters", "umap")
    assert record["history"]["total"].tolist() == run.history["total"].tolist()
    scores = dv.tl.rate_scores(notebook, seed=3)
    assert scores == {name: run.metrics[name] for name in scores}


def test_a_result_is_written_and_read(notebook, tmp_path):
    dv.io.write_h5ad(notebook, tmp_path / "result.h5ad")
    again = dv.io.read(tmp_path / "result.h5ad")
    np.testing.assert_array_equal(again.layers[keys.VELOCITY], notebook.layers[keys.VELOCITY])
    assert isinstance(dv.pl.training_curve(again), go.Figure)


def test_moments_leave_counts_and_what_else_the_object_had():
    adata = counts()
    adata.raw = adata.copy()
    before = adata.copy()
    dv.pp.moments(adata, n_top_genes=40, n_neighbors=15)
    assert adata.shape == (120, 40)
    assert not adata.is_view
    kept = before[:, adata.var_names]
    assert (adata.layers[keys.SPLICED] != kept.layers[keys.SPLICED]).nnz == 0
    np.testing.assert_array_equal(adata.layers[keys.TRUE_VELOCITY], kept.layers[keys.TRUE_VELOCITY])
    assert adata.raw.shape == (120, 60)


def test_moments_of_a_view_make_it_an_object_of_its_own():
    whole = counts()
    part = whole[:100]
    dv.pp.moments(part, n_top_genes=40, n_neighbors=15)
    assert part.shape == (100, 40)
    assert whole.shape == (120, 60)


def test_moments_that_are_there_are_kept_unless_asked(notebook):
    adata = notebook.copy()
    dv.pp.moments(adata)
    np.testing.assert_array_equal(adata.layers[keys.MS], notebook.layers[keys.MS])
    assert keys.VELOCITY not in adata.layers
    with pytest.raises(InputError, match=r"n_top_genes.*recompute_moments"):
        dv.pp.moments(adata, n_top_genes=10)


def test_moments_that_are_kept_keep_what_they_were_called_with():
    adata = counts()
    dv.pp.moments(adata, preset="published", n_top_genes=40, n_neighbors=15)
    before = json.loads(adata.uns[keys.DEEPVELO]["settings"])
    with pytest.raises(InputError, match=r"neighbour graph.*n_neighbors.*compare_in=\"own\""):
        dv.pp.moments(adata, n_neighbors=50)
    dv.pp.moments(adata)
    assert json.loads(adata.uns[keys.DEEPVELO]["settings"]) == before
    dv.pp.moments(adata, compare_in="own", n_neighbors=10)
    assert (adata.obsp[keys.DISTANCES] > 0).sum(axis=1).max() == 9
    after = json.loads(adata.uns[keys.DEEPVELO]["settings"])
    assert after == before | {"preparation": before["preparation"] | {"compare_in": "own", "n_neighbors": 10}}
    assert sum("compared in" in note for note in adata.uns[keys.NOTES]) == 1


def test_a_fit_in_memory_asks_for_the_memory_it_takes(notebook, monkeypatch):
    asked = []
    monkeypatch.setattr("deepvelo.checks.require_memory", lambda *args: asked.append(args[-1]))
    dv.tl.velocity(notebook.copy(), n_epochs=1, device="cpu")
    assert [machine.has_scratch for machine in asked] == [False]


def test_a_new_fit_removes_what_came_from_the_earlier_one(notebook):
    adata = notebook.copy()
    dv.tl.velocity(adata, n_epochs=2, device="cpu")
    for name in (keys.VELOCITY_GRAPH, keys.VELOCITY_PARAMS):
        assert name not in adata.uns
    assert "velocity_umap" not in adata.obsm
    assert not {keys.CONFIDENCE, keys.LATENT_TIME, keys.CONSISTENCY} & set(adata.obs)
    assert len(adata.uns[keys.DEEPVELO]["history"]["total"]) == 2


def test_a_fit_that_is_stopped_keeps_what_the_moments_were_called_with():
    adata = counts()
    dv.pp.moments(adata, preset="published", n_components=12, n_neighbors=15, cluster_key="clusters")
    before = dict(adata.uns[keys.DEEPVELO])

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dv.tl.velocity(adata, n_epochs=2, device="cpu", on_epoch=stop)
    assert adata.uns[keys.DEEPVELO] == before
    with pytest.raises(KeyboardInterrupt):
        dv.tl.scvelo_velocity(adata, mode="dynamical", on_genes=stop)
    assert adata.uns[keys.DEEPVELO] == before


def test_what_users_name_like_results_stays(notebook):
    adata = notebook.copy()
    adata.layers["velocity_scvelo"] = adata.layers[keys.MS].copy()
    adata.obs["velocity_batch"], adata.var["velocity_panel"], adata.uns["velocity_notes"] = "a", "b", "c"
    adata.obsm["velocity_x"] = np.zeros((adata.n_obs, 2))
    scvelo_made = adata.layers["fit_t"] = adata.layers[keys.MS].copy()
    adata.var["fit_alpha"], adata.varm["loss"] = 1.0, np.ones((adata.n_vars, 2))
    adata.layers["variance_velocity"] = scvelo_made
    kept = {
        "layers": "velocity_scvelo",
        "obs": "velocity_batch",
        "var": "velocity_panel",
        "uns": "velocity_notes",
        "obsm": "velocity_x",
    }
    gone = [("layers", "fit_t"), ("layers", "variance_velocity"), ("var", "fit_alpha"), ("varm", "loss")]
    gone += [("obsm", "velocity_umap"), ("uns", keys.VELOCITY_GRAPH), ("obs", keys.SELF_TRANSITION)]
    again = adata.copy()
    dv.pp.moments(again)
    dv.tl.scvelo_velocity(adata, mode="steady_state")
    for found in (again, adata):
        assert [part for part, name in kept.items() if name not in getattr(found, part)] == []
        assert [name for part, name in gone if name in getattr(found, part)] == []


def test_a_new_graph_removes_the_arrows_and_times_of_the_one_before(notebook):
    adata = notebook.copy()
    dv.pl.stream(adata, basis="umap")
    adata.layers[keys.VELOCITY] = -adata.layers[keys.VELOCITY]
    dv.tl.velocity_graph(adata)
    assert not {keys.LATENT_TIME, keys.PSEUDOTIME} & set(adata.obs)
    dv.pl.stream(adata, basis="umap")
    before, after = (cells.obsm["velocity_umap"] for cells in (notebook, adata))
    cosine = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert np.nanmedian(cosine) < -0.9


def test_the_preset_of_the_moments_is_that_of_the_fit():
    adata = counts()
    dv.pp.moments(adata, preset="published", n_neighbors=15)
    dv.tl.velocity(adata, n_epochs=2, device="cpu")
    settings = config.from_dict(json.loads(adata.uns[keys.DEEPVELO]["settings"]))
    assert settings.preset == "published"
    assert settings.preparation.n_neighbors == 15
    assert settings.training.learning_rate == config.PUBLISHED.training.learning_rate


def test_moments_of_scvelo_are_enough():
    import scanpy as sc
    import scvelo as scv

    adata = counts()
    scv.pp.filter_and_normalize(adata, min_shared_counts=20)
    sc.pp.pca(adata, n_comps=10)
    sc.pp.neighbors(adata, n_neighbors=15)
    scv.pp.moments(adata, n_pcs=None, n_neighbors=None)
    dv.tl.velocity(adata, n_epochs=2, device="cpu")
    assert np.isfinite(adata.layers[keys.VELOCITY][:, adata.var[keys.VELOCITY_GENES]]).all()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda adata: dv.tl.velocity(adata), r"missing \['Ms', 'Mu'\].*pp\.moments"),
        (lambda adata: dv.tl.velocity_graph(adata), r"missing \['Ms', 'velocity'\].*tl\.velocity\(adata\)"),
        (lambda adata: dv.tl.velocity_embedding(adata), r"no velocity graph.*tl\.velocity_graph"),
        (lambda adata: dv.tl.latent_time(adata), r"no velocity graph.*tl\.velocity_graph"),
        (lambda adata: dv.tl.consistency(adata), r"missing \['velocity'\].*tl\.velocity"),
        (lambda adata: dv.tl.confidence(adata), r"missing \['velocity', .*tl\.velocity"),
        (lambda adata: dv.tl.multikinetic_genes(adata), r"missing \['velocity', .*tl\.velocity"),
        (lambda adata: dv.tl.rates_umap(adata), r"missing .*cell_specific_beta.*tl\.velocity"),
        (lambda adata: dv.pl.stream(adata), r"no embedding 'umap'.*pp\.moments"),
        (lambda adata: dv.pl.phase_portrait(adata, "Sim001"), r"missing \['Ms'\].*pp\.moments"),
        (lambda adata: dv.pl.rates(adata, "Sim001"), r"missing .*cell_specific_alpha.*tl\.velocity"),
        (lambda adata: dv.pl.training_curve(adata), r"history is missing.*tl\.velocity"),
        (lambda adata: dv.pl.embedding(adata), r"no embedding 'umap'.*pp\.moments"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(call, what):
    with pytest.raises(InputError, match=what):
        call(counts())


def test_unknown_settings_and_values_out_of_range_are_told(notebook):
    with pytest.raises(InputError, match=r"no setting 'n_epoch' of a fit.*'n_epochs'"):
        dv.tl.velocity(notebook, n_epoch=3)
    with pytest.raises(InputError, match="n_candidates"):
        dv.tl.velocity(notebook, n_candidates=1)
    assert keys.VELOCITY in notebook.layers, "nothing is removed before the settings are known to be good"


def test_every_setting_of_the_preparation_is_an_argument():
    assert {field.name for field in fields(config.PreparationConfig)} <= set(
        inspect.signature(dv.pp.moments).parameters
    )


def test_a_gene_and_a_score_colour_cells(notebook):
    gene = notebook.var_names[0]
    by_gene, by_time = dv.pl.embedding(notebook, color=gene), dv.pl.embedding(notebook, color="latent_time")
    np.testing.assert_array_equal(
        np.sort(by_gene.data[0].marker.color), np.sort(notebook.layers[keys.MS][:, 0])
    )
    assert by_time.data[0].marker.colorbar.title.text == "latent_time"
    with pytest.raises(InputError, match="'nothing' is neither a column"):
        dv.pl.embedding(notebook, color="nothing")


def test_a_stream_keeps_the_arrows_it_computes(notebook):
    adata = notebook.copy()
    fig = dv.pl.stream(adata, basis="pca")
    assert adata.obsm["velocity_pca"].shape == adata.obsm["X_pca"].shape
    assert sum(trace.mode == "lines" for trace in fig.data) >= 2
    with pytest.raises(InputError, match="Did you mean 'Sim0"):
        dv.pl.phase_portrait(adata, "sim00")


def test_importing_the_package_is_light():
    heavy = "('torch', 'plotly', 'streamlit', 'scanpy', 'scvelo', 'anndata', 'pandas')"
    code = f"import sys, deepvelo; sys.exit(str([m for m in {heavy} if m in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert files("deepvelo").joinpath("py.typed").is_file()


def rooms():
    for name in ("pp", "tl", "pl", "io", "datasets"):
        room = getattr(dv, name)
        for public in room.__all__:
            yield f"{name}.{public}", getattr(room, public)


FUNCTIONS = {name: value for name, value in rooms() if inspect.isfunction(value)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_come_in_the_order_of_scanpy(name):
    """``adata`` first, at most three by their place, everything else by name."""
    parameters = list(inspect.signature(FUNCTIONS[name]).parameters.values())
    by_place = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert len(by_place) <= 3
    if name.startswith(("pp.", "tl.", "pl.")):
        assert by_place[0].name == "adata"
        assert by_place[0].annotation in ("AnnData", ad.AnnData)


def test_every_public_function_has_an_example():
    assert [name for name, function in FUNCTIONS.items() if ">>>" not in (function.__doc__ or "")] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_of_a_public_function_is_documented(name):
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    section = re.split(r"\n\w+\n-{4,}\n", text.partition("Parameters\n----------\n")[2])[0]
    lines = [line for line in section.splitlines() if line and not line.startswith(" ")]
    documented = {word.strip("* ") for line in lines for word in line.split(",")}
    assert set(inspect.signature(function).parameters) <= documented
