"""Streams of the compared runs on the same embedding, as fitted."""

from __future__ import annotations

import streamlit as st

from app.selection import linked
from app.selection.bar import selection_bar
from app.shared import cached, charts, comparison
from app.shared.cells import run_in_words
from app.shared.comparison import RunIds
from app.shared.gene_picker import ranked_genes
from app.shared.grouping import has_grouping, shown_key
from app.shared.text import escape, with_labels
from app.shared.undecided import has_probability, undecided_in_words
from app.shared.velocity_chart import NOT_SPEED, View, velocity_figure
from deepvelo import keys
from deepvelo.io.runs import Run

N_COLUMNS = 2
HEIGHT = 460


def streams_view(base: Run, run_ids: RunIds) -> None:
    """One figure per run, on the embedding of the chosen run; a note for runs without it."""
    selection_bar(base)
    names = comparison.names(run_ids)
    basis, groups = base.info.basis, shown_key(base)
    view = View(
        basis=basis, kind="Stream", color=groups, gene=ranked_genes(base)[0], density=1.0, smooth=0.5
    )  # fmt: skip
    for first in range(0, len(names), N_COLUMNS):
        boxes = st.columns(N_COLUMNS, gap="medium")
        panels = range(first, min(first + N_COLUMNS, len(names)))
        for panel, box in zip(panels, boxes, strict=False):
            name, run_id = names[panel], run_ids[panel]
            with box:
                st.markdown(f"**{escape(name)}**")
                run = cached.open_run(run_id)
                if keys.embedding(basis) not in run.obsm or not has_grouping(run, groups):
                    st.info(with_labels(f"This run has no embedding '{basis}' or no groups '{groups}'."))
                    continue
                figure = velocity_figure(run, view).update_layout(
                    height=HEIGHT, showlegend=False, margin_r=10, meta=None
                )
                # Streamlit keeps the cells of every key for the whole visit: one key a panel, not one a run
                charts.show(
                    figure, key=f"compare.stream.{panel}", alt=f"Stream of {name}", view=f"{run_id} {basis}",
                    cells=linked.on_embedding(run, basis),
                )  # fmt: skip
                if faded := undecided_in_words(run):
                    st.caption(faded)
    told = [has_probability(cached.open_run(run_id)) for run_id in run_ids]
    words = ["Arrows are as fitted."]
    if any(told) and not all(told):
        words.append("Other methods do not report undecided directions, so their arrows are not faded.")
    words += [NOT_SPEED, "Methods that agree can all be wrong.", run_in_words(base)]
    st.caption(" ".join(filter(None, words)))
