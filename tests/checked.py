"""A made-up run with what its checks belong to: a shuffled control, other seeds, other settings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from scipy import sparse

from app.shared import controls
from deepvelo import keys
from deepvelo.evaluation.controls import control_plan, steady_state_plan
from deepvelo.io.run import Run
from deepvelo.io.runs import RunStore
from deepvelo.result import Result
from tests.compared import copy_as


def save_checked(ring: Run) -> Path:
    """Store the run of `save_ring` anew beside it, with a graph and arrows; its folder."""
    adata = ring.to_adata()
    ahead = sparse.diags([1.0], [1], shape=(adata.n_obs, adata.n_obs), format="csr")
    adata.uns |= {keys.VELOCITY_GRAPH: ahead, keys.VELOCITY_GRAPH_NEG: -ahead.T.tocsr()}
    info = ring.info
    result = Result(
        adata=adata, history=pd.DataFrame(), weights={}, settings=info.settings, metrics=dict(info.metrics)
    )
    store = RunStore(ring.folder.parent)
    return store.folder / store.save(result, data_name=info.data_name, data_hash=info.data_hash)


def add_control(run: Run) -> str:
    """Store a copy of the run as its finished shuffled control: no worse than the run itself."""
    (planned,) = control_plan(run.info, controls.folder_of(run))
    return copy_as(
        run, name=planned.name, data_hash=planned.source.hash(), purpose="control", base=run.info.run_id
    )


def add_steady_state_controls(run: Run, n_fits: int, *, back_every: int = 0) -> list[str]:
    """Store so many steady-state controls, copies of the run in which every so many cells move the other way."""
    return [
        copy_as(
            run, back_every=back_every, name=planned.name, data_hash=planned.source.hash(), purpose="steady_state",
            base=run.info.run_id,
        )
        for planned in steady_state_plan(run.info, controls.folder_of(run))[:n_fits]
    ]  # fmt: skip


def add_seed(run: Run, seed: int, *, back_every: int = 0) -> str:
    """Store another seed of the run, in which every so many cells move the other way."""
    return copy_as(
        run, back_every=back_every, settings={"seed": seed}, name=f"{run.info.name}, seed {seed}", purpose="seed",
        base=run.info.run_id,
    )  # fmt: skip


def add_to_sweep(run: Run, n_neighbors: int, *, back_every: int = 0) -> str:
    """Store the run with other graph neighbours, in which every so many cells move the other way."""
    return copy_as(
        run, back_every=back_every, settings={"graph": {"n_neighbors": n_neighbors}},
        name=f"{run.info.name}, graph neighbours {n_neighbors}", purpose="sweep", base=run.info.run_id,
    )  # fmt: skip
