"""Steady-state control: scores of a run beside those of fits to its own cells at steady state."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.compare.control_fits import offer
from app.shared import controls
from app.shared.boundaries import chosen_boundaries
from app.shared.tables import show_table
from app.shared.text import with_labels
from deepvelo.io.runs import Run
from deepvelo.wording import decimal

_TITLES = {
    "run": "This run",
    "mean": "Control",
    "sd": "± sd",
    "lowest": "Lowest",
    "highest": "Highest",
    "as_high": "As high",
}


def steady_state_part(base: Run) -> None:
    """The question, the missing fits, and the scores at steady state."""
    from deepvelo.evaluation.controls import STEADY_STATE_NOTE, beyond_steady_state, steady_state_plan

    st.markdown(
        "**What do cells at steady state score?** This control draws each cell's unspliced counts from its spliced counts at "
        "steady state, where velocity is 0, and fits them with the same settings, several times."
    )
    offer(base, steady_state_plan(base.info, controls.folder_of(base)), key="compare.fit_steady_state")
    done = controls.runs_for(base, "steady_state")
    if not done:
        return
    table = controls.steady_state(base, [run_id for _, run_id in done], chosen_boundaries(base))
    scores, words = st.columns([2.2, 1], gap="medium")
    with scores:
        show_table(
            _shown(table),
            column_config={
                "Score": st.column_config.TextColumn(width=262),
                **{
                    title: st.column_config.TextColumn(alignment="right", width=64)
                    for title in _TITLES.values()
                },
            },
            alt="Scores of the run and of its steady-state controls",
        )
        st.caption(STEADY_STATE_NOTE)
    with words:
        for sentence in beyond_steady_state(table):
            st.markdown(with_labels(sentence))


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    numbers = {
        _TITLES[column]: ["–" if pd.isna(value) else decimal(value, 2) for value in table[column]]
        for column in ("run", "mean", "sd", "lowest", "highest")
    }
    as_high = [f"{high} of {n}" for high, n in zip(table["as_high"], table["n"], strict=True)]
    index = pd.Index([f"{score[0].upper()}{score[1:]}" for score in table.index], name="Score")
    return pd.DataFrame(numbers | {_TITLES["as_high"]: as_high}, index=index)
