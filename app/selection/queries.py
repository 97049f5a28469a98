"""Cached comparisons of selected cells with others.

All visitors share what these functions return: read it, never change it. Cells come as bytes of eight cells each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.shared import cached
from deepvelo import keys

_KINETIC = (*keys.RATES, keys.VELOCITY, keys.MS, keys.MU)


def kinetics(run_id: str, cells: bytes, against: bytes, sample_key: str | None) -> pd.DataFrame:
    """`deepvelo.tl.differential_kinetics` of a stored run."""
    return _kinetics(cached.runs_folder(), run_id, cells, against, sample_key)


@st.cache_data(max_entries=16, max_size="64MB", show_spinner="Comparing rates of all genes")
def _kinetics(
    folder: Path, run_id: str, cells: bytes, against: bytes, sample_key: str | None
) -> pd.DataFrame:
    cached.warm_up().join()
    from deepvelo import tl

    run = cached.open_run(run_id)
    adata = run.part(_KINETIC, on_disk=True)
    if not run.has_alpha:
        adata.layers.pop(keys.ALPHA, None)
    return tl.differential_kinetics(
        adata, unpacked(cells, adata.n_obs), unpacked(against, adata.n_obs), sample_key=sample_key
    )


def markers(run_id: str, cells: bytes, against: bytes) -> pd.DataFrame:
    """`deepvelo.tl.marker_genes` of a stored run."""
    return _markers(cached.runs_folder(), run_id, cells, against)


@st.cache_data(max_entries=16, max_size="64MB", show_spinner="Ranking marker genes")
def _markers(folder: Path, run_id: str, cells: bytes, against: bytes) -> pd.DataFrame:
    cached.warm_up().join()
    from deepvelo import tl

    adata = cached.open_run(run_id).part([keys.SPLICED])
    return tl.marker_genes(adata, unpacked(cells, adata.n_obs), unpacked(against, adata.n_obs))


def composition(obs: pd.DataFrame, cells: np.ndarray, against: np.ndarray, by: Sequence[str]) -> pd.DataFrame:
    """`deepvelo.tl.composition` of a table of cells; fast, and not kept."""
    cached.warm_up().join()
    from anndata import AnnData

    from deepvelo import tl

    return tl.composition(AnnData(obs=obs[list(by)]), cells, against, by=by)


def unpacked(cells: bytes, n_cells: int) -> np.ndarray:
    """The mask of packed cells."""
    return np.unpackbits(np.frombuffer(cells, dtype=np.uint8), count=n_cells).astype(bool)
