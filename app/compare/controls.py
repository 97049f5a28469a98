"""Controls of a run: shuffled, at steady state, with other seeds, with other settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app.compare.control_fits import offer
from app.compare.steady_state import steady_state_part
from app.compare.sweep import sweep_part
from app.compare.table import COLUMNS, marked
from app.selection import linked
from app.shared import charts, comparison, controls
from app.shared.boundaries import chosen_boundaries
from app.shared.cells import drawn, run_in_words
from app.shared.empty import error_in_words
from app.shared.grouping import own_groups_and_colors
from app.shared.tables import show_table
from app.shared.velocity_chart import basis_label
from app.shared.view import one_of
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.score_histograms import score_histogram
from deepvelo.wording import decimal, number

HEIGHT = 540
HISTOGRAM_HEIGHT = 300
MOST_SEEDS = 20
PART_KEY = "compare.part"
_SPACES = {"boundary_embedding": "embedding", "boundary_genes": "genes"}
_CONTROL_COLUMNS = (
    "consistency_median",
    "consistency_celltype_median",
    "boundary_embedding",
    "boundary_genes",
)


def controls_view(base: Run) -> None:
    """The selected control: its question, its missing fits, its result."""
    part = st.segmented_control(
        "Check against", list(PARTS), required=True, **one_of("check", list(PARTS), key=PART_KEY),
        label_visibility="collapsed",
    )  # fmt: skip
    with error_in_words():
        PARTS[str(part)](base)


def _shuffled(base: Run) -> None:
    from deepvelo.evaluation.controls import SIGNAL_DEFINITION, control_plan
    from deepvelo.evaluation.gate import signal_in_words

    st.markdown(
        "**Do the counts of single cells matter?** This control shuffles unspliced counts among the cells of each group and "
        "fits them with the same settings. What remains comes from group means and smoothing."
    )
    offer(base, control_plan(base.info, controls.folder_of(base)), key="compare.fit_control")
    control = controls.control_of(base)
    if control is None:
        return
    value = controls.signal(base.info.run_id, control.run_id)
    score, scores = st.columns([1, 1.3], gap="medium")
    ids = (base.info.run_id, control.run_id)
    found = comparison.compared(ids, None, chosen_boundaries(base))
    names = dict(zip(comparison.names(ids), ("This run", "Control"), strict=True))
    with scores:
        _control_table(found.table.rename(index=names))
    with score:
        with st.container(border=True):
            st.metric("Signal, 0 to 1", f"{value:.2f}")
            st.progress(value)
            st.markdown(signal_in_words(value))
            st.caption(SIGNAL_DEFINITION)
        figure = score_histogram(
            {names[name]: cells["consistency"].to_numpy() for name, cells in found.cells.items()},
            found.table["consistency_median"].rename(index=names).to_dict(),
            colors={names[name]: color for name, color in comparison.colors(ids).items()},
            title="consistency of the cells: cosine with the graph neighbours",
            height=HISTOGRAM_HEIGHT,
        )
        charts.show(figure, key="compare.control_histogram", alt="Consistency of the run and of its control")


def _control_table(table: pd.DataFrame) -> None:
    """Scores of the run and of its control."""
    columns = [column for column in _CONTROL_COLUMNS if column in table and table[column].notna().any()]
    edges = [column for column in table if column.partition(":")[0] in columns and ":" in column]
    shown = marked(
        table[columns + edges], unranked=columns + edges
    ).T  # no best value: a control is not a method
    shown.index = pd.Index(
        [COLUMNS[column].title for column in columns]
        + [f"{edge.partition(': ')[2]}, {_SPACES[edge.partition(':')[0]]}" for edge in edges],
        name="Score",
    )
    show_table(
        shown,
        column_config={name: st.column_config.TextColumn(width=130, alignment="right") for name in shown},
        alt="Scores of the run and of its shuffled control",
        width="content",
    )
    st.caption(
        "If the control is as consistent as the run, smoothing explains the consistency. If the control's CBDir is not "
        "near 0, it comes from group means, which shuffling preserves, or from the embedding; the steady-state control "
        "shows what a fit to cells at steady state can reach."
    )


def _seeds(base: Run) -> None:
    from deepvelo.evaluation.controls import N_SEEDS, SEEDS_NOTE, seeds_plan

    st.markdown(
        "**Does the direction depend on the random seed?** This check repeats the fit on the same data with other seeds. "
        "Do not interpret cells whose direction changes."
    )
    box, rest = st.columns([1, 4], vertical_alignment="bottom")
    n_seeds = box.number_input(
        "Number of seeds", 2, MOST_SEEDS, N_SEEDS, key="compare.n_seeds", persist_state="session"
    )
    with rest:
        offer(
            base,
            seeds_plan(base.info, controls.folder_of(base), n_seeds=int(n_seeds)),
            key="compare.fit_seeds",
        )
    done = controls.runs_for(base, "seed")
    if not done:
        return
    values = controls.seed_agreement((base.info.run_id, *(run_id for _, run_id in done)))
    groups, _ = own_groups_and_colors(base)
    picture, words = st.columns([1.6, 1], gap="medium")
    with picture:
        points = base.obsm[keys.embedding(base.info.basis)][:, :2]
        figure = agreement_map(
            points,
            values,
            groups,
            axis_name=basis_label(base.info.basis),
            drawn=drawn(base),
            dark=charts.is_dark(),
            height=HEIGHT,
        )
        charts.show(
            figure, key="compare.seeds_map", alt="Agreement of the seeds by cell", view=base.info.basis,
            cells=linked.Cells(base, points),
        )  # fmt: skip
        if run_in_words(base):
            st.caption(run_in_words(base))
    with words:
        known = values[np.isfinite(values)]
        low = int((known < controls.LOW_AGREEMENT).sum())
        st.metric(f"Cells below {controls.LOW_AGREEMENT:g}", f"{low:,} of {known.size:,}")
        st.markdown(f"{number(len(done) + 1, 'seed')} compared; mean agreement **{_mean(known)}**.")
        _lowest_groups(values, groups)
        st.caption(SEEDS_NOTE)


def _lowest_groups(values: np.ndarray, groups: np.ndarray) -> None:
    """Agreement of the seeds in each cell type, lowest first."""
    cells = pd.DataFrame({"Cell type": groups, "agreement": values}).dropna()
    table = cells.groupby("Cell type")["agreement"].agg(
        Mean="mean", Below=lambda part: 100 * (part < controls.LOW_AGREEMENT).mean(), Cells="size"
    )
    show_table(
        table.sort_values("Mean"),
        height=260,
        column_config={
            "Mean": st.column_config.NumberColumn(format="%.2f", width=70),
            "Below": st.column_config.NumberColumn(
                f"Below {controls.LOW_AGREEMENT:g}", format="%.0f%%", width=80
            ),
            "Cells": st.column_config.NumberColumn(format="%d", width=60),
        },
        alt="Agreement of the seeds by cell type",
    )


def _mean(values: np.ndarray) -> str:
    if not values.size:
        return "not known"
    return decimal(float(values.mean()))


PARTS = {
    "Shuffled control": _shuffled,
    "Steady-state control": steady_state_part,
    "Other seeds": _seeds,
    "Other settings": sweep_part,
}
