"""Lineages that lead nowhere, since all their cells are of one group."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.shared.text import escape
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages

STRAY = 3  # cells of another group that make it part of a lineage


def say_one_group(run: Run, analysis: Lineages, lineage: str) -> None:
    """A caption where a lineage has no way to follow; nothing otherwise."""
    groups = run.obs[run.info.cluster_key].astype(str)
    if is_one_group(groups, analysis.fates[lineage]):
        st.caption(
            f":material/info: {escape(lineage)}: one group only, no lineage to follow. What rises towards its end tells "
            "cells of this group apart, and no way into it."
        )


def is_one_group(groups: pd.Series, probability: pd.Series) -> bool:
    """Whether the cells that can come to an end are, but for a stray one or two, of one group.

    Parameters
    ----------
    groups
        Group of each cell.
    probability
        Of the end, for each cell; NaN is none.
    """
    sizes = groups[(probability > 0).to_numpy()].value_counts()
    return int((sizes >= STRAY).sum()) <= 1
