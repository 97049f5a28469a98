"""A made-up run in a store, and copies of runs: writing forty cells takes twenty times as long as copying them."""

from __future__ import annotations

import json
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import zarr
from anndata import AnnData
from anndata.io import write_elem
from scipy import sparse

from deepvelo import config, keys
from deepvelo.io import checksums
from deepvelo.io.run import INFO, RESULT
from deepvelo.io.runs import RunStore
from deepvelo.workflow import Result


def copy_run(run: Path, folder: Path, **info: object) -> str:
    """Copy the folder of a run into a store, as a run made now of which other things are said; returns its id."""
    run_id = f"copy-{secrets.token_hex(4)}"
    shutil.copytree(run, folder / run_id)
    file = folder / run_id / INFO
    values = json.loads(file.read_text()) | {"created": datetime.now(UTC).isoformat()}
    file.write_text(json.dumps(values | info))
    checksums.write_checksums(folder / run_id)
    return run_id


def undecide(run: Path, share: float) -> None:
    """Make a share of the cells of a stored run undecided, those on the left of its UMAP."""
    stored = zarr.open_group(run / RESULT, mode="r+")
    x = stored["obsm"][keys.X_UMAP][:, 0]
    stored["obs"][keys.UNDECIDED][:] = x <= np.quantile(x, share, method="inverted_cdf")
    checksums.write_checksums(run)


def add_elements(run: Path, **elements: object) -> None:
    """Write elements into a stored run: ``obsm__X_pca=...``."""
    stored = zarr.open_group(run / RESULT, mode="r+", use_consolidated=False)
    for name, values in elements.items():
        group, key = name.split("__")
        write_elem(stored[group], key, values)
    zarr.consolidate_metadata(stored.store)
    checksums.write_checksums(run)


def save_made_up(
    folder: Path,
    *,
    seed: int = 0,
    genes: tuple[str, ...] = ("Tmsb10", "Cpe", "Actb", "Eomes", "Sox2", "Gad1"),
    unspliced_velocity: bool = True,
) -> str:
    """Store random numbers in the shape of a finished fit: 40 cells, 6 genes, 3 groups."""
    rng = np.random.default_rng(seed)
    n_cells, n_genes = 40, len(genes)
    groups = pd.Categorical(rng.permutation(np.resize(["Granule", "Neuroblast", "OPC"], n_cells)))
    obs = pd.DataFrame({"clusters": groups}, index=[f"cell{i}" for i in range(n_cells)])
    for key in (keys.CONFIDENCE, keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        obs[key] = rng.random(n_cells).astype(np.float32)
    obs[keys.CONFIDENCE] = 0.5 + obs[keys.CONFIDENCE] / 2  # a probability to be right
    obs[keys.UNDECIDED] = False  # see `undecide`
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
                "training": {"n_epochs": 5},  # of which 3 were made
                "preset": "default" if unspliced_velocity else "published",
            },
        ),
        metrics={
            "consistency": 0.8, "consistency_celltype": 0.7, "silhouette_rates": 0.1, "ari_rates": 0.2,
            "n_cells": n_cells, "n_genes": n_genes, "n_velocity_genes": n_genes, "n_epochs": 3,
            "seconds_prepare": 1.0, "seconds_train": 2.0, "seconds_total": 4.0, "peak_memory_mb": 500.0,
        },
    )  # fmt: skip
    return RunStore(folder).save(result, data_name="made-up cells", data_hash="0" * 32, name="made up")
