"""Runs of several methods on the same made-up cells, with scores that are known without computing them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import zarr
from scipy import sparse

from deepvelo import config, keys
from deepvelo.io import checksums
from deepvelo.io.run import RESULT, Run
from deepvelo.io.runs import RunStore
from deepvelo.result import Result
from tests.stored import copy_run

UNSMOOTHED = {"smooth_inputs": 0, "smooth_velocity": 0}
GROUPS = ["Granule mature", "Granule immature", "Neuroblast"]


def save_ring(run: Run) -> str:
    """Store the made-up run anew, with a graph and velocities to score; returns the id.

    Cells lie in a ring, each between two neighbours, and all move alike, so that their consistency is 1. Groups
    follow each other along the ring; a single cell is an OPC.
    """
    adata = run.to_adata()
    n_cells = adata.n_obs
    ends = n_cells - 1
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(n_cells, n_cells), format="csr")
    adata.obsp[keys.CONNECTIVITIES] = adata.obsp[keys.DISTANCES] = ring
    adata.uns[keys.NEIGHBORS] = {
        "params": {"n_neighbors": 3}, "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
    }  # fmt: skip
    groups = np.repeat(GROUPS, n_cells // 3 + 1)[:n_cells].astype(object)
    groups[-1] = "OPC"
    adata.obs["clusters"] = pd.Categorical(groups)
    del adata.uns[keys.colors("clusters")]
    adata.layers[keys.VELOCITY] = _velocity(n_cells, adata.n_vars)
    info = run.info
    # Velocities that no fit averaged, as scVelo's.
    settings = config.replace(info.settings, {"graph": UNSMOOTHED})
    adata.uns[keys.DEEPVELO]["settings"] = json.dumps(config.to_dict(settings))
    result = Result(
        adata=adata, history=pd.DataFrame(), weights={}, settings=settings, metrics=dict(info.metrics)
    )
    return RunStore(run.folder.parent).save(result, data_name=info.data_name, data_hash=info.data_hash)


def copy_as(
    run: Run,
    method: str = "deepvelo",
    *,
    back_every: int = 0,
    settings: dict[str, Any] | None = None,
    **info: object,
) -> str:
    """Put a copy of a run beside it, by another method, newer than all; returns its id.

    Cells in every ``back_every`` th place move the other way: in a ring with 2, the consistency is -1.
    """
    changed = config.replace(run.info.settings, {"method": method} | (settings or {}))
    label = f"{run.info.data_name}, {config.fit_label(changed)}"
    run_id = copy_run(
        run.folder, run.folder.parent, **({"settings": config.to_dict(changed), "name": label} | info)
    )
    folder = run.folder.parent / run_id
    record = zarr.open_group(folder / RESULT, mode="r+")["uns"][keys.DEEPVELO]
    record["settings"][...] = json.dumps(config.to_dict(changed))
    if back_every:
        layer = zarr.open_group(folder / RESULT, mode="r+")["layers"][keys.VELOCITY]
        layer[:] = _velocity(*layer.shape, back_every=back_every)
    checksums.write_checksums(folder)
    return run_id


def _velocity(n_cells: int, n_genes: int, *, back_every: int = 0) -> np.ndarray:
    sign = np.ones((n_cells, 1))
    if back_every:
        sign[back_every - 1 :: back_every] = -1
    return (sign * np.arange(1, n_genes + 1)).astype(np.float32)
