"""Lineages whose cells all belong to one group."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.shared.text import escape
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages

LEAST_CELLS = 3  # of another group, to count as part of a lineage


def say_one_group(run: Run, analysis: Lineages, lineage: str) -> None:
    """Draw a caption if all cells of the lineage belong to one group."""
    groups = run.obs[run.info.cluster_key].astype(str)
    if is_one_group(groups, analysis.fates[lineage]):
        st.caption(
            f":material/info: {escape(lineage)}: all cells belong to one group. Drivers describe differences within this group, "
            "not a path into it."
        )


def is_one_group(groups: pd.Series, probability: pd.Series) -> bool:
    """Whether the cells that can reach a terminal state belong to one group, except for one or two.

    Parameters
    ----------
    groups
        Group of each cell.
    probability
        Fate probability of each cell; NaN counts as 0.
    """
    sizes = groups[(probability > 0).to_numpy()].value_counts()
    return int((sizes >= LEAST_CELLS).sum()) <= 1
