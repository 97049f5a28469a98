"""RNA velocity on an embedding."""

from dataclasses import replace

import streamlit as st

from app.selection import linked
from app.selection.bar import selection_bar
from app.shared import cached, charts
from app.shared.color_picker import OF_GENES, color_picker
from app.shared.empty import stop_on_error
from app.shared.gene_picker import gene_picker, ranked_genes
from app.shared.rates_charts import RATE_COLORS, warn_of_negative_rates
from app.shared.run_picker import require_run
from app.shared.shown_run import run_fragment
from app.shared.signal import fade_toggle, fade_unsure, quality_line
from app.shared.text import box_labels
from app.shared.velocity_chart import (
    IN_SPACE,
    KINDS,
    View,
    bases,
    basis_label,
    in_words,
    panel_points,
    split_options,
    velocity_figure,
)
from app.shared.view import number_in, one_of, some_of
from deepvelo.contents import maps
from deepvelo.io.runs import Run

_NOTHING = ""  # no group has this name


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
        axes = axes_picker(run, basis)
        kinds = KINDS if len(axes) == 2 else IN_SPACE
        kind = st.selectbox(
            "Show", kinds, format_func=str, **one_of("arrows", kinds, key=f"velocity.kind.{len(axes)}")
        )
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
        split = split_picker(run) if len(axes) == 2 else None
        fade = len(axes) == 2 and fade_toggle(run)
    view = View(
        basis=basis, axes=axes, kind=kind, color=color, gene=gene, density=density, smooth=smooth, split=split
    )
    with picture, stop_on_error():
        if color in RATE_COLORS:
            warn_of_negative_rates(run)
        figure = velocity_figure(run, view)
        faded = fade_unsure(figure, run) if fade else ""
        cells = linked.on_map(run, maps.key_of(basis, run.obsm), color=color)
        charts.show(
            figure, key="velocity.figure", alt=f"Velocity on {basis}, colour {color}", view=view.shown,
            cells=replace(cells, points=panel_points(run, view)),
        )  # fmt: skip
        st.caption(f"{in_words(run, view)} {faded}".strip())


def axes_picker(run: Run, basis: str) -> cached.Axes:
    """Two or three columns of a map, the first two by default; offered where there are more."""
    names = {str(column): name for column, name in cached.map_axes(run.info.run_id, basis).items()}
    first = list(names)[:2]
    if len(names) > 2:
        chosen = st.multiselect(
            "Axes", list(names), format_func=names.__getitem__, max_selections=3,
            **some_of("axes", list(names), key=f"velocity.axes.{basis}", default=first, most=3),
            help="Columns of the map to show, in the order of the axes. Three draw cells in space, which the mouse turns.",
        )  # fmt: skip
        if len(chosen) > 1:
            return tuple(map(int, chosen))
        st.caption(f"Choose two or three axes; {names[first[0]]} and {names[first[1]]} are shown.")
    return tuple(map(int, first))


def split_picker(run: Run) -> str | None:
    """A grouping whose groups are shown side by side; None for one map of all cells."""
    options = split_options(run)
    if not options:
        return None
    names = box_labels([_NOTHING, *options], lambda key: key or "nothing")
    chosen = st.selectbox(
        "Split by", list(names), format_func=names.__getitem__, **one_of("split", list(names), key="velocity.split"),
        help="Shows each sample, condition or other group in its own panel, on the same axes. Offered for columns with 2 to 6 groups.",
    )  # fmt: skip
    return chosen or None


st.header("Velocity")
run = require_run()
explorer(run)
quality_line(run)
