"""A file and a run in which every name tries to be more than text: a link, a picture, a script, an icon, a formula."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys
from deepvelo.io.runs import Run, RunStore
from deepvelo.lineages import Lineages, LineageSettings
from deepvelo.lineages.store import save
from deepvelo.result import Result

HOST = "evil.test"
PICTURE = f"![p](http://{HOST}/p.png) [t](http://{HOST}/t) http://{HOST}/u www.{HOST} me@{HOST}"
HTML = f"<img src=http://{HOST}/h.png><script>document.title='evil'</script><a href='http://{HOST}/a'>a</a>"
MARKS = "*em* ~~del~~ `code` :red[red] :material/home: :smile: :streamlit: $z^2$ &amp; <b>bold</b> # h -> x"
FORMULA = f'=HYPERLINK("http://{HOST}/f","f")'
REVERSED = "gen\u202eeneg\u200b"
GROUPS = (PICTURE, HTML, MARKS)
GENES = (FORMULA, PICTURE, HTML, MARKS, REVERSED, "HLA-DRB1*01", "my_*best*_gene")
# Names that HDF5 keeps hold no slash.
COLUMN = f"[col](c) www.{HOST} <i>col :smile:"
BASIS = f"<b>map www.{HOST}"
FILE = f"![f](x) www.{HOST} $f$ :smile: <b>.h5ad"
N_CELLS = 42


def cells() -> AnnData:
    """Random numbers with evil names of cells, genes, groups, columns, layers and embeddings, and evil colours."""
    rng = np.random.default_rng(0)
    n_genes = len(GENES)
    names = [f"{GENES[i % n_genes]} {i}" for i in range(N_CELLS)]
    obs = pd.DataFrame(
        {COLUMN: pd.Categorical(np.resize(GROUPS, N_CELLS)), f"{COLUMN} 2": rng.random(N_CELLS)}, index=names
    )
    adata = AnnData(
        sparse.csr_matrix(rng.poisson(2, (N_CELLS, n_genes)).astype(np.float32)),
        obs=obs,
        var=pd.DataFrame({COLUMN: list(GENES)}, index=list(GENES)),
    )
    adata.layers[keys.SPLICED] = adata.X.copy()
    adata.layers[keys.UNSPLICED] = sparse.csr_matrix(rng.poisson(1, (N_CELLS, n_genes)).astype(np.float32))
    adata.layers[f"<i>layer www.{HOST}"] = adata.X.copy()
    adata.obsm[keys.embedding(BASIS)] = rng.normal(size=(N_CELLS, 2)).astype(np.float32)
    adata.uns[keys.colors(COLUMN)] = [f"url(http://{HOST}/c.png)", "expression(alert(1))", "red;}"]
    return adata


def save_run(folder: Path) -> str:
    """Store a run of these cells, with an analysis of its lineages; returns its id."""
    rng = np.random.default_rng(0)
    adata = cells()
    shape, n_genes = adata.shape, adata.n_vars
    for key in (keys.CONFIDENCE, keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        adata.obs[key] = rng.random(N_CELLS).astype(np.float32)
    adata.var[keys.VELOCITY_GENES] = True
    adata.var[keys.MULTIKINETIC_SCORE] = np.linspace(1, 0, n_genes)
    for layer in (keys.MS, keys.MU, *keys.RATES):
        adata.layers[layer] = rng.random(shape).astype(np.float32)
    for layer in (keys.VELOCITY, keys.VELOCITY_U):
        adata.layers[layer] = rng.normal(size=shape).astype(np.float32)
    ends = N_CELLS - 1
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(N_CELLS, N_CELLS), format="csr")
    adata.obsp[keys.CONNECTIVITIES] = adata.obsp[keys.DISTANCES] = ring
    adata.uns[keys.NEIGHBORS] = {
        "params": {"n_neighbors": 3}, "connectivities_key": keys.CONNECTIVITIES, "distances_key": keys.DISTANCES,
    }  # fmt: skip
    adata.uns |= {keys.VELOCITY_GRAPH: ring.maximum(0), keys.VELOCITY_GRAPH_NEG: -ring.T.tocsr()}
    for key in (
        keys.X_PCA, keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP,
        keys.velocity_embedding(BASIS),
    ):  # fmt: skip
        adata.obsm[key] = rng.normal(size=(N_CELLS, 2)).astype(np.float32)
    settings = config.replace(config.Settings(), {"training": {"n_epochs": 5}})
    adata.uns[keys.DEEPVELO] = {
        "cluster_key": COLUMN, "basis": BASIS, "seed": 0, "versions": "{}",
        "settings": json.dumps(config.to_dict(settings)),
    }  # fmt: skip
    result = Result(
        adata=adata,
        history=pd.DataFrame({"epoch": [1, 2], "total": [2.0, 1.0]}),
        weights={},
        settings=settings,
        metrics={
            "consistency": 0.8, "consistency_celltype": 0.7, "silhouette_rates": 0.1, "ari_rates": 0.2,
            "n_cells": N_CELLS, "n_genes": n_genes, "n_velocity_genes": n_genes, "n_epochs": 5,
            "seconds_prepare": 1.0, "seconds_train": 2.0, "seconds_total": 4.0, "peak_memory_mb": 500.0,
        },
    )  # fmt: skip
    store = RunStore(folder)
    run_id = store.save(result, data_name=FILE, data_hash="0" * 32, name=f"{MARKS} {PICTURE}")
    save(lineages(store.open(run_id)), store.folder / run_id)
    return run_id


def lineages(run: Run) -> Lineages:
    """What an analysis of the run would leave: its root is one evil group, its ends are the others."""
    names, ends = run.obs.index, GROUPS[1:]
    share = np.linspace(1, 0, len(names))
    genes = [str(name) for name in run.var.index]
    drivers = {
        "gene": genes, "rank": range(1, len(genes) + 1), "correlation": np.linspace(0.9, -0.9, len(genes)),
        "ci_low": -0.95, "ci_high": 0.95, "p": 0.01, "q": 0.02, "measure": "fate",
        "alpha_change": 1.5, "beta_change": -0.5, "gamma_change": 0.25,
    }  # fmt: skip
    return Lineages(
        settings=LineageSettings(cluster_key=run.info.cluster_key, seed=run.info.settings.seed),
        root=GROUPS[0],
        last_groups=ends,
        cells=pd.DataFrame(
            {
                "pseudotime": share,
                "latent_time": share,
                "part": pd.array([0] * len(names), dtype="Int64"),
                "macrostate": pd.Categorical([None] * len(names), categories=list(ends)),
                f"fate: {ends[0]}": share,
                f"fate: {ends[1]}": 1 - share,
            },
            index=names,
        ),
        edges=pd.DataFrame(
            {
                "source": [GROUPS[0]] * 2,
                "target": list(ends),
                "confidence": [0.8, 0.3],
                "agreement": [0.9, 0.7],
                "source_cells": 14,
                "target_cells": 14,
            }
        ),
        drivers=pd.concat([pd.DataFrame({"lineage": end, **drivers}) for end in ends], ignore_index=True),
        warnings=(f"Time of group '{PICTURE}' explains 20% of the arrows; {HTML}.",),
        seconds=1.0,
    )
