"""RNA velocity on an embedding."""

import streamlit as st

from app.selection import linked
from app.selection.bar import selection_bar
from app.shared import charts
from app.shared.color_picker import OF_GENES, color_picker
from app.shared.empty import stop_on_error
from app.shared.gene_picker import gene_picker, ranked_genes
from app.shared.rates_charts import RATE_COLORS, warn_of_negative_rates
from app.shared.run_picker import require_run
from app.shared.shown_run import run_fragment
from app.shared.signal import fade_toggle, fade_unsure, quality_line
from app.shared.text import box_labels
from app.shared.velocity_chart import KINDS, View, bases, basis_label, in_words, velocity_figure
from app.shared.view import number_in, one_of
from deepvelo.io.runs import Run


@run_fragment
def explorer(run: Run) -> None:
    """Figure left, controls right; a change redraws only this part."""
    selection_bar(run)
    picture, controls = st.columns([4.2, 1], gap="medium")
    with controls:
        names = bases(run)
        basis = st.selectbox(
            "Embedding",
            names,
            format_func=box_labels(names, basis_label).__getitem__,
            **one_of("embedding", names, key="velocity.basis"),
        )
        kind = st.selectbox("Show", KINDS, **one_of("arrows", KINDS, key="velocity.kind"))
        color = color_picker(run)
        gene = gene_picker(run) if color in OF_GENES else ranked_genes(run)[0]
        density, smooth = 1.0, 0.5
        if kind != "No arrows":
            density = st.slider(
                "Density",
                0.5,
                1.5,
                step=0.25,
                **number_in("density", 0.5, 1.5, density, key="velocity.density"),
            )
        if kind in {"Stream", "Grid arrows"}:
            smooth = st.slider(
                "Smoothing", 0.25, 2.0, step=0.25, **number_in("smoothing", 0.25, 2.0, smooth, key="velocity.smooth"),
                help="Number of grid steps over which directions are averaged. Raising it hides detail and noise.",
            )  # fmt: skip
        fade = fade_toggle(run)
    view = View(basis=basis, kind=kind, color=color, gene=gene, density=density, smooth=smooth)
    with picture, stop_on_error():
        if color in RATE_COLORS:
            warn_of_negative_rates(run)
        figure = velocity_figure(run, view)
        faded = fade_unsure(figure, run) if fade else ""
        charts.show(
            figure, key="velocity.figure", alt=f"Velocity on {basis}, colour {color}", view=basis,
            cells=linked.on_embedding(run, basis, color=color),
        )  # fmt: skip
        st.caption(f"{in_words(run, view)} {faded}".strip())


st.header("Velocity")
run = require_run()
explorer(run)
quality_line(run)
