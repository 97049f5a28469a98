"""What would cells at rest score? A run beside fits to its own cells, of which none moves."""

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
    "mean": "At rest",
    "sd": "± sd",
    "lowest": "Lowest",
    "highest": "Highest",
    "as_high": "As high",
}


def at_rest_part(base: Run) -> None:
    """What it asks, what is still to fit, and how far cells at rest come."""
    from deepvelo.evaluation.controls import AT_REST_NOTE, at_rest_plan, beyond_rest

    st.markdown(
        "**What would cells at rest score?** Every cell's unspliced counts are drawn anew as its spliced counts ask for "
        "at steady state, so that nothing moves; then fitted with the same settings, several times."
    )
    offer(base, at_rest_plan(base.info, controls.folder_of(base)), key="compare.fit_at_rest")
    done = controls.runs_for(base, "at_rest")
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
            alt="Scores of the run and of cells at rest",
        )
        st.caption(AT_REST_NOTE)
    with words:
        for sentence in beyond_rest(table):
            st.markdown(with_labels(sentence))


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    numbers = {
        _TITLES[column]: ["–" if pd.isna(value) else decimal(value, 2) for value in table[column]]
        for column in ("run", "mean", "sd", "lowest", "highest")
    }
    as_high = [f"{high} of {n}" for high, n in zip(table["as_high"], table["n"], strict=True)]
    index = pd.Index([f"{score[0].upper()}{score[1:]}" for score in table.index], name="Score")
    return pd.DataFrame(numbers | {_TITLES["as_high"]: as_high}, index=index)
