"""A visitor who looks at many genes of many runs does not fill the server's memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from deepvelo import config, keys
from deepvelo.io.runs import RunStore
from deepvelo.result import Result

ROOT = Path(__file__).resolve().parents[2]
N_CELLS, N_GENES, N_RUNS = 60_000, 50, 5
LAYERS = (keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U, *keys.RATES)
MEGABYTE = 2**20

# In a process of its own, so that what is left of other tests does not count.
VIEWS = """
import gc, json, logging, os, sys

import psutil

logging.disable(logging.WARNING)
from app.shared import cached
from app.shared.cells import drawn
from app.shared.grouping import groups_and_colors
from app.shared.phase_charts import gene_panels, phase_of
from app.shared.rates_charts import gene_rates
from app.shared.velocity_chart import View, velocity_figure
from deepvelo.pl.phase_portrait import phase_portrait
from deepvelo.pl.rates import rate_violins


def resident():
    gc.collect()
    return psutil.Process().memory_info().rss


def look_at(run, gene, *, closely):
    phase, rates = phase_of(run, gene), gene_rates(run, gene)
    if closely:
        groups, colors = groups_and_colors(run)
        phase_portrait(phase, groups, colors=colors, drawn=drawn(run)).to_json(validate=False)
        rate_violins(rates, groups, colors=colors).to_json(validate=False)
        gene_panels(run, gene, height=600).to_json(validate=False)
    view = View(basis="umap", kind="Cell arrows", color="gene", gene=gene, density=1.0, smooth=0.5)
    velocity_figure(run, view).to_json(validate=False)


seen = []
for i, run_id in enumerate(sys.argv[1:]):
    run = cached.open_run(run_id)
    if i == 0:
        look_at(run, str(run.var.index[0]), closely=True)
        seen.append(resident())
    for j, gene in enumerate(run.var.index.astype(str)):
        look_at(run, gene, closely=j % 10 == 0)
    seen.append(resident())
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of runs of many cells, whose whole numbers pack well on disk."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"clusters": pd.Categorical(rng.choice(["a", "b", "c"], N_CELLS))},
        index=[f"AAACCTGAGAAACCAT-{i}" for i in range(N_CELLS)],
    )
    var = pd.DataFrame(
        {keys.VELOCITY_GENES: True, keys.MULTIKINETIC_SCORE: 0.0}, index=[f"g{i}" for i in range(N_GENES)]
    )
    adata = AnnData(obs=obs, var=var)
    for layer in LAYERS:
        adata.layers[layer] = rng.integers(0, 4, (N_CELLS, N_GENES)).astype(np.float32)
    for name in (keys.X_UMAP, keys.velocity_embedding("umap")):
        adata.obsm[name] = rng.normal(size=(N_CELLS, 2)).astype(np.float32)
    adata.uns[keys.DEEPVELO] = {"cluster_key": "clusters", "basis": "umap", "versions": "{}"}
    result = Result(
        adata=adata, history=pd.DataFrame(), weights={"weight": torch.zeros(1)}, settings=config.Settings(),
        metrics={},
    )  # fmt: skip
    store = RunStore(tmp_path_factory.mktemp("many") / "runs")
    first = store.folder / store.save(result, data_name="many cells", data_hash="0")
    copies = [store.folder / f"copy-{i}" for i in range(N_RUNS - 1)]
    for copy in copies:
        shutil.copytree(first, copy)
    return [first, *copies]


@pytest.mark.slow
def test_fifty_genes_of_five_runs(many_runs: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEEPVELO_RUNS", str(many_runs[0].parent))
    views = subprocess.run(
        [sys.executable, "-c", VIEWS, *(run.name for run in many_runs)],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    start, *after = json.loads(views.stdout)
    read = N_RUNS * N_GENES * len(LAYERS) * 4 * N_CELLS
    # what the cache of genes may hold, tables and embeddings of all runs, and what the allocator keeps
    bound = (128 + N_RUNS * 15 + 120) * MEGABYTE
    assert read > 1.2 * bound  # kept, it would not fit
    assert max(after) - start < bound
    assert (
        after[-1] - after[1] < (N_RUNS * 15 + 30) * MEGABYTE
    )  # full since the second run: only tables are new
