"""Cached queries of the Compare page; `app.shared.comparison` has those that several pages share.

All visitors share what these functions return: read it, never change it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.shared import cached, comparison
from app.shared.comparison import RunIds
from deepvelo import keys

MOST_GENES = 100


def cell_agreement(run_ids: RunIds, smooth: int | None) -> tuple[pd.Series, int]:
    """Mean cosine between the methods in each shared cell, NaN where fewer than two have a velocity; and the number of genes."""
    comparison.infos(run_ids)  # raises for a deleted run, also when the answer is cached
    return _cell_agreement(cached.runs_folder(), run_ids, smooth)


@st.cache_data(max_entries=16, max_size="64MB", show_spinner="Comparing the methods cell by cell")
def _cell_agreement(folder: Path, run_ids: RunIds, smooth: int | None) -> tuple[pd.Series, int]:
    from deepvelo.tl.metrics.agreement import agreement, common_genes

    matched = comparison.matched(run_ids, smooth)
    moving = list(matched.moving().values())
    values = agreement(moving) if len(moving) > 1 else np.full(matched.reference.n_obs, np.nan)
    n_genes = int(common_genes(moving).sum()) if moving else 0
    return pd.Series(values, index=matched.reference.obs_names), n_genes


def disagreement(
    run_ids: RunIds, smooth: int | None, region: np.ndarray | None
) -> tuple[pd.DataFrame, pd.Series]:
    """The genes that methods disagree about in some rows of the first run, or in all its cells, and the agreement of each pair.

    Returns
    -------
    Genes: the first `MOST_GENES` of `deepvelo.evaluation.compare.disagreeing_genes`. Pairs: `deepvelo.evaluation.compare.pair_agreement`.
    """
    comparison.infos(run_ids)
    return _disagreement(cached.runs_folder(), run_ids, smooth, region)


@st.cache_data(max_entries=32, show_spinner=False)
def _disagreement(
    folder: Path, run_ids: RunIds, smooth: int | None, region: np.ndarray | None
) -> tuple[pd.DataFrame, pd.Series]:
    from deepvelo.evaluation.compare import disagreeing_genes, pair_agreement

    matched = comparison.matched(run_ids, smooth)
    names = matched.reference.obs_names
    chosen = np.ones(len(names), dtype=bool)
    if region is not None:
        chosen = names.isin(cached.open_run(run_ids[0]).obs.index[region])
    genes = disagreeing_genes(matched, chosen).drop(columns="contribution").head(MOST_GENES)
    return genes, pair_agreement(matched, chosen)


def targets(run_ids: RunIds, *, sources: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """For each method, the group that the arrows of each source point at, as `deepvelo.tl.metrics.heading.headings`."""
    return _targets(cached.runs_folder(), run_ids, sources)


@st.cache_data(max_entries=32, show_spinner="Following the arrows")
def _targets(folder: Path, run_ids: RunIds, sources: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    from deepvelo.evaluation.compare.reference import arrows_from_velocity
    from deepvelo.tl.metrics.heading import headings

    matched = comparison.matched(run_ids, None)
    reference, basis = matched.reference, str(matched.basis)
    found = {}
    for name, velocity in matched.velocities.items():
        arrows = (
            matched.arrows[name]
            if matched.arrows is not None
            else arrows_from_velocity(reference, velocity, moments=matched.moments, basis=basis)
        )
        found[name] = headings(
            arrows, reference.obsm[keys.embedding(basis)], graph=reference.obsp[keys.DISTANCES],
            groups=matched.groups.astype(str).to_numpy(), sources=sources,
        )  # fmt: skip
    return found
