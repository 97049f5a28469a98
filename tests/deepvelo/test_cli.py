"""The command line: whole outputs with exit code 0, one sentence with exit code 2 otherwise."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.neighbors import kneighbors_graph

from deepvelo import config, keys, peers
from deepvelo.datasets.simulation import simulate
from deepvelo.io import read, write_h5ad
from deepvelo.plan import in_words, plan_of


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of 150 simulated cells."""
    file = tmp_path_factory.mktemp("small") / "small.h5ad"
    write_h5ad(simulate(kind="linear", n_cells=150, n_genes=60, depth=2000, seed=0), file)
    return file


@pytest.mark.slow
def test_run_writes_a_whole_file_with_the_settings_given(deepvelo, tmp_path, small):
    out = tmp_path / "out.h5ad"
    options = [
        "--neighbors",
        7,
        "--candidates",
        9,
        "--lambda-u",
        2,
        "--lambda-s",
        0.5,
        "--epochs",
        3,
        "--seed",
        5,
    ]
    assert deepvelo("run", small, "-o", out, *options, "--cluster-key", "clusters") == 0
    fitted = read(out)
    for key in (keys.VELOCITY, *keys.RATES):
        assert key in fitted.layers
    settings = config.from_dict(json.loads(fitted.uns[keys.DEEPVELO]["settings"]))
    assert (settings.graph.n_neighbors, settings.graph.n_candidates) == (7, 9)
    assert (settings.objective.lambda_u, settings.objective.lambda_s) == (2, 0.5)
    assert (settings.training.n_epochs, settings.seed) == (3, 5)
    assert list(tmp_path.iterdir()) == [out]


KILLED = """
import os, signal, sys
from deepvelo import cli
from deepvelo.model.large_data import checkpoint

checkpoint.SECONDS_BETWEEN, checkpoint.MOST_OF_THE_TIME = 0.0, 1e9
save = checkpoint.Checkpoint.save

def then_killed(self, learning, history):
    save(self, learning, history)
    if len(history) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.Checkpoint.save = then_killed
cli.main()
"""


@pytest.mark.slow
def test_a_killed_run_started_again_goes_on(deepvelo, capfd, tmp_path, small):
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"

    def run(output, *options):
        return ["run", str(small), "-o", str(output), "--epochs", "9", "--cluster-key", "clusters", *options]

    def killed(*options):
        done = subprocess.run([sys.executable, "-c", KILLED, *run(out, *options)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not out.exists()
        capfd.readouterr()

    assert deepvelo(*run(whole)) == 0
    killed()
    assert deepvelo(*run(out)) == 0
    assert "Resuming after epoch 5 of 9." in capfd.readouterr().err
    one, other = read(whole), read(out)
    for key in (keys.VELOCITY, *keys.RATES):
        np.testing.assert_allclose(one.layers[key], other.layers[key], rtol=1e-4, atol=1e-5)
    assert len(other.uns[keys.DEEPVELO]["history"]["epoch"]) == 9
    out.unlink()

    killed("--seed", "3")
    assert deepvelo(*run(out)) == 0
    assert "Resuming" not in capfd.readouterr().err
    assert not [path for path in tmp_path.iterdir() if "training" in path.name]


@pytest.mark.slow
def test_a_settings_file_and_options_on_top(deepvelo, tmp_path, small):
    file = tmp_path / "settings.toml"
    file.write_text('preset = "published"\n[training]\nn_epochs = 2\n', encoding="utf-8")
    out = tmp_path / "out.h5ad"
    assert deepvelo("run", small, "-o", out, "--config", file, "--seed", 3) == 0
    stored = read(out).uns[keys.DEEPVELO]
    assert stored["preset"] == "published"
    assert stored["seed"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.h5ad", "-o", "out.h5ad"], "There is no file missing.h5ad"),
        (["run", "{small}", "-o", "out.csv"], "Name it out.h5ad"),
        (["run", "{small}", "-o", "out.h5ad", "--neighbors", "500"], "for 150 cells"),
        (["run", "{small}", "-o", "out.h5ad", "--neighbors", "-1"], "`graph.n_neighbors`"),
        (["run", "{small}", "-o", "out.h5ad", "--cluster-key", "celltype"], "no grouping 'celltype'"),
        (["run", "{small}", "-o", "out.h5ad", "--basis", "tsne"], "tsne"),
        (["run", "{small}", "-o", "out.h5ad", "--config", "no.toml"], "No such file"),
        (["run", "{text}", "-o", "out.h5ad"], "notes.h5ad"),
        (["run", "{small}", "-o", "{folder}/nowhere/out.h5ad", "--epochs", "1"], "nowhere"),
        (["check", "{text}"], "notes.h5ad"),
        (["app", "--data", "{folder}/nowhere"], "nowhere for data. Make it"),
        (["app", "--data", "{text}"], "notes.h5ad for data. Make it"),
        (["simulate", "out.h5ad", "--cells", "1"], "cells"),
        (["check", "x" * 5000], "File name too long"),
        (["evaluate", "x" * 5000], "File name too long"),
        (["run", "{small}", "-o", "out.h5ad", "--config", "/dev/zero"], "not plain text"),
        (["run", "{small}", "-o", "out.h5ad", "--compare-in", "1" * 5000], "There is nothing called '111"),
        (["run", "{small}", "-o", "out.h5ad", "--epochs", "9" * 4000], "`training.n_epochs` should be"),
        (["run", "{small}", "-o", "out.h5ad", "--lambda-u", "1e999"], "`objective.lambda_u` should be"),
        (["lineages", "{small}", "-o", "out", "--gmt", "/dev/zero"], "not plain text"),
        (["lineages", "{small}", "-o", "out", "--library", "1" * 5000], "not the name of a library"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    deepvelo, monkeypatch, capfd, tmp_path, small, arguments, message
):
    monkeypatch.chdir(tmp_path)
    text = tmp_path / "notes.h5ad"
    text.write_text("not a matrix", encoding="utf-8")
    filled = [a.format(small=small, text=text, folder=tmp_path) for a in arguments]
    assert deepvelo(*filled) == 2
    error = capfd.readouterr().err.strip()
    assert error.startswith("Error: ")
    assert message in error
    assert "Traceback" not in error
    assert len(error) < 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.h5ad"]


@pytest.mark.slow
def test_a_mode_of_scvelo_writes_a_whole_file_and_says_what_it_ignores(deepvelo, capfd, tmp_path, small):
    out = tmp_path / "out.h5ad"
    assert deepvelo("run", small, "-o", out, "--method", "stochastic", "--epochs", 3) == 0
    assert "--method stochastic ignores" in capfd.readouterr().err
    fitted = read(out)
    assert config.from_dict(json.loads(fitted.uns[keys.DEEPVELO]["settings"])).method == "stochastic"
    assert keys.VELOCITY in fitted.layers
    assert not set(keys.RATES) & set(fitted.layers)
    assert list(tmp_path.iterdir()) == [out]


def test_a_method_that_is_not_installed_is_a_sentence_before_the_data_are_read(
    deepvelo, capfd, tmp_path, monkeypatch
):
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(peers, "version", absent)
    nowhere = tmp_path / "nowhere.h5ad"
    assert deepvelo("run", nowhere, "-o", tmp_path / "out.h5ad", "--method", "graphvelo") == 2
    said = capfd.readouterr().err
    assert said.startswith("Error: GraphVelo is not installed: run `pip install graphvelo==")
    assert list(tmp_path.iterdir()) == []


def test_check_tells_what_is_there(deepvelo, capsys, small):
    assert deepvelo("check", small) == 0
    out = capsys.readouterr().out
    for fact in ("150", "60", "layer spliced", "unspliced fraction", "clusters"):
        assert fact in out
    for name, value in in_words(plan_of(150, 60, config.Settings())):
        assert name in out
        assert value in out


def test_check_of_data_that_cannot_be_fitted_ends_with_2(deepvelo, capsys, tmp_path, small):
    adata = read(small)
    del adata.layers[keys.UNSPLICED]
    write_h5ad(adata, tmp_path / "half.h5ad")
    assert deepvelo("check", tmp_path / "half.h5ad") == 2
    assert "unspliced" in capsys.readouterr().out


def test_check_refuses_what_run_refuses(deepvelo, capsys, tmp_path, small):
    write_h5ad(read(small)[:20].copy(), tmp_path / "few.h5ad")
    for command in (["check"], ["run", "-o", tmp_path / "out.h5ad"]):
        assert deepvelo(*command, tmp_path / "few.h5ad") == 2
        said = capsys.readouterr()
        assert "Got 30 for 20 cells" in said.out + said.err
        assert "Nothing is missing" not in said.out


def test_simulate_is_the_same_twice(deepvelo, tmp_path):
    files = [tmp_path / f"{name}.h5ad" for name in "ab"]
    for file in files:
        options = ["--kind", "branch_rates", "--cells", 60, "--genes", 20, "--seed", 4]
        assert deepvelo("simulate", file, *options) == 0
    one, other = map(read, files)
    assert (one.layers[keys.SPLICED] != other.layers[keys.SPLICED]).nnz == 0


def test_simulate_offers_every_kind_with_counts_as_droplets_have_them(deepvelo, tmp_path):
    file = tmp_path / "droplet.h5ad"
    options = ["--kind", "origins", "--cells", 30, "--genes", 20, "--profile", "droplet"]
    assert deepvelo("simulate", file, *options) == 0
    note = read(file).uns[keys.SIMULATION]
    assert (note["kind"], note["profile"]) == ("origins", "droplet")


def test_importing_the_library_loads_neither_streamlit_nor_plotly():
    code = "import sys, deepvelo, deepvelo.cli; print({'streamlit', 'plotly', 'scanpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_python_m_deepvelo_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "deepvelo", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "simulate" in done.stdout


def by_two_processes(*arguments):
    """The command, as torchrun starts it twice."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*torchrun, "-m", "deepvelo", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_two_processes_write_what_one_does(deepvelo, tmp_path, small):
    file = tmp_path / "settings.toml"
    file.write_text("[training]\nn_epochs = 3\nbatch_cells = 50\n", encoding="utf-8")
    alone, shared = tmp_path / "alone.h5ad", tmp_path / "shared.h5ad"
    options = ["--config", file, "--device", "cpu"]
    assert deepvelo("run", small, "-o", alone, *options) == 0
    ended = by_two_processes("run", small, "-o", shared, *options)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("n_cells") == 1, "only the first process says anything"
    assert sorted(tmp_path.iterdir()) == [alone, file, shared]
    one, two = read(alone), read(shared)
    for key in (keys.VELOCITY, *keys.RATES):
        np.testing.assert_allclose(two.layers[key], one.layers[key], rtol=1e-3, atol=1e-3)
    assert two.uns[keys.DEEPVELO]["settings"] == one.uns[keys.DEEPVELO]["settings"]
    history = [fitted.uns[keys.DEEPVELO]["history"]["total"] for fitted in (one, two)]
    np.testing.assert_allclose(*history, rtol=1e-4)


@pytest.mark.slow
def test_of_two_processes_the_first_says_what_is_wrong(tmp_path, small):
    ended = by_two_processes("run", small, "-o", tmp_path / "out.h5ad", "--neighbors", 500)
    assert ended.returncode != 0
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert "for 150 cells" in said
    assert re.search(r"rank +: 0 .*\n +exitcode +: 2 ", ended.stderr), "the second ends well"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_result_of_another_tool_becomes_a_run(deepvelo, tmp_path, capfd):
    rng = np.random.default_rng(0)
    values = rng.random((40, 5)).astype(np.float32)
    nearest = kneighbors_graph(values, 6, mode="distance")
    result = AnnData(
        obs=pd.DataFrame({"clusters": np.repeat(["A", "B"], 20)}, index=[f"cell{i}" for i in range(40)]),
        layers={"M_s": values + 1, "M_u": values, "velocity_S": values - 0.5, "velocity_2": 0.5 - values},
        obsm={"X_umap": rng.normal(size=(40, 2)), "X_pca": values},
        obsp={"distances": nearest, "connectivities": (nearest + nearest.T > 0).astype(np.float32)},
        uns={"neighbors": {"params": {"n_neighbors": 7}}},
    )
    result.write_h5ad(tmp_path / "result.h5ad")
    run = ["run", tmp_path / "result.h5ad", "--method", "imported", "-o", tmp_path / "out.h5ad"]
    assert deepvelo(*run) == 0
    assert "note: Layers 'M_s', 'M_u' and 'velocity_S' are used" in capfd.readouterr().out
    out = read(tmp_path / "out.h5ad")
    assert np.allclose(out.layers["velocity"], values - 0.5)
    assert np.isfinite(out.obsm["velocity_umap"]).any()
    assert json.loads(out.uns["deepvelo"]["settings"])["tool"] == "dynamo"
    assert deepvelo(*run, "--layer", "velocity_2", "--tool", "mine") == 0
    assert np.allclose(read(tmp_path / "out.h5ad").layers["velocity"], 0.5 - values)
    (tmp_path / "out.h5ad").unlink()
    capfd.readouterr()
    assert deepvelo(*run, "--layer", "speed") == 2
    assert "no layer 'speed'" in capfd.readouterr().err
    assert not (tmp_path / "out.h5ad").exists()
