"""Fixtures several test files share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

# Test data are tiny: threads that wait for each other would take most of the time.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data; kept beside the checkout, not in it."""
    return _shared("data", "the real data")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder with the known answers of the published objective."""
    return _shared("reference", "the reference cases")


def _shared(name: str, what: str) -> Path:
    folder = SHARED / name
    if folder.is_dir():
        return folder
    reason = f"{what} are not here: ../shared/{name} is missing"
    if os.environ.get("DEEPVELO_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, though this run must use them")
    pytest.skip(reason)


@pytest.fixture
def deepvelo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Exit code of a command, run in this process: ``deepvelo("check", file)``."""
    from deepvelo import cli

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["deepvelo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0)

    return run


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server of its own for the app: empty data and run folders; returns the folder with both."""
    from app import cached

    for name in ("data", "runs"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"DEEPVELO_{name.upper()}", str(tmp_path / name))
    monkeypatch.delenv("DEEPVELO_SCHEDULER", raising=False)
    yield tmp_path
    cached.jobs().close()


@pytest.fixture(scope="session")
def run_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made-up run, with every documented key, made once and copied by `saved_run`."""
    folder = tmp_path_factory.mktemp("template")
    return folder / _save_made_up_run(folder)


@pytest.fixture
def saved_run(server: Path, run_template: Path) -> str:
    """Id of the made-up run, in the run store of `server`."""
    shutil.copytree(run_template, server / "runs" / run_template.name)
    return run_template.name


@pytest.fixture
def made_up_run() -> Callable[..., str]:
    """Store another made-up run: ``made_up_run(folder, name="second", seed=1)``."""
    return _save_made_up_run


def _save_made_up_run(
    folder: Path,
    *,
    name: str = "made up",
    data_name: str = "made-up cells",
    seed: int = 0,
    genes: tuple[str, ...] = ("Tmsb10", "Cpe", "Actb", "Eomes", "Sox2", "Gad1"),
    unspliced_velocity: bool = True,
) -> str:
    """Store random numbers in the shape of a finished fit: 40 cells, 6 genes, 3 groups."""
    import torch
    from anndata import AnnData
    from scipy import sparse

    from deepvelo import config, keys
    from deepvelo.io.runs import RunStore
    from deepvelo.workflow import Result

    rng = np.random.default_rng(seed)
    n_cells, n_genes = 40, len(genes)
    groups = pd.Categorical(rng.permutation(np.resize(["Granule", "Neuroblast", "OPC"], n_cells)))
    obs = pd.DataFrame({"clusters": groups}, index=[f"cell{i}" for i in range(n_cells)])
    for key in (keys.CONFIDENCE, keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        obs[key] = rng.random(n_cells).astype(np.float32)
    obs[keys.RATES_LEIDEN] = pd.Categorical(np.resize(["0", "1"], n_cells))
    var = pd.DataFrame(
        {keys.VELOCITY_GENES: True, keys.MULTIKINETIC_SCORE: rng.random(n_genes)},
        index=list(genes),
    )
    adata = AnnData(
        sparse.csr_matrix(rng.poisson(2, (n_cells, n_genes)).astype(np.float32)), obs=obs, var=var
    )
    adata.layers[keys.SPLICED] = adata.X.copy()
    adata.layers[keys.UNSPLICED] = sparse.csr_matrix(rng.poisson(1, (n_cells, n_genes)).astype(np.float32))
    for layer in (keys.MS, keys.MU, *keys.RATES):
        adata.layers[layer] = rng.random((n_cells, n_genes)).astype(np.float32)
    for layer in (keys.VELOCITY, keys.VELOCITY_U):
        adata.layers[layer] = rng.normal(size=(n_cells, n_genes)).astype(np.float32)
    if not unspliced_velocity:
        for layer in (keys.VELOCITY_U, keys.ALPHA):
            adata.layers[layer][:] = np.nan
    embeddings = (
        keys.X_PCA, keys.X_UMAP, keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP,
        keys.X_GAMMA_UMAP, keys.velocity_embedding("umap"),
    )  # fmt: skip
    for key in embeddings:
        adata.obsm[key] = rng.normal(size=(n_cells, 2)).astype(np.float32)
    if not unspliced_velocity:
        del adata.obsm[keys.X_ALPHA_UMAP]
    adata.uns[keys.colors("clusters")] = ["#3ba458", "#404040", "#d94801"]
    adata.uns[keys.DEEPVELO] = {"cluster_key": "clusters", "basis": "umap", "seed": seed, "versions": "{}"}
    terms = ("continuity_future", "continuity_past", "pearson_u", "pearson_s", "direction", "total")
    result = Result(
        adata=adata,
        history=pd.DataFrame({"epoch": [1, 2, 3]} | {term: [3.0, 2.0, 1.0] for term in terms}),
        weights={"weight": torch.zeros(2)},
        settings=config.replace(
            config.Settings(),
            {
                "seed": seed,
                "training": {"n_epochs": 3},
                "objective": {"unspliced_velocity": unspliced_velocity},
            },
        ),
        metrics={
            "consistency": 0.8, "consistency_celltype": 0.7, "silhouette_rates": 0.1, "ari_rates": 0.2,
            "n_cells": n_cells, "n_genes": n_genes, "n_velocity_genes": n_genes, "seconds_prepare": 1.0,
            "seconds_train": 2.0, "seconds_total": 4.0, "peak_memory_mb": 500.0,
        },
    )  # fmt: skip
    return RunStore(folder).save(result, data_name=data_name, data_hash="0" * 32, name=name)
