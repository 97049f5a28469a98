"""Select cells without drawing: by a group or number, by their names, or as they were saved."""

from __future__ import annotations

import numpy as np
import streamlit as st
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from app.selection import state
from app.selection.saved import saved_box
from app.shared.cells import group_names
from app.shared.color_picker import color_label, color_options, color_values
from app.shared.empty import error_in_words
from app.shared.gene_picker import chosen_gene
from app.shared.text import box_labels, escape, with_labels
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.selections import find_cells, within

_COLUMN, _GROUPS, _RANGE = "selection.column", "selection.groups", "selection.range"
_NAMES = "selection.names"


def select_by(run: Run) -> None:
    """A box to select cells; drawn when it is opened."""
    box = st.popover("Select", icon=":material/tune:", key="selection.by", on_change="rerun")
    if not box.open:
        return
    with box:
        way = st.segmented_control(
            "Select by", list(_WAYS), default=next(iter(_WAYS)), required=True, key="selection.way",
            label_visibility="collapsed",
        )  # fmt: skip
        _WAYS[str(way)](run)


def _by_column(run: Run) -> None:
    """Groups or a range of a column or gene."""
    options = color_options(run)
    column = st.selectbox(
        "By", options, format_func=box_labels(options, color_label).__getitem__, key=_COLUMN,
        persist_state="session",
    )  # fmt: skip
    with error_in_words():
        values = color_values(run, column, gene=chosen_gene(run))
        if is_numeric_dtype(values) and not is_bool_dtype(values):
            _by_number(run, values.to_numpy(dtype=float), column=column, name=str(values.name))
        else:
            _by_group(run, group_names(values))


def _by_group(run: Run, groups: np.ndarray) -> None:
    names = theme.group_order(groups)
    chosen = st.multiselect("Groups", names, format_func=box_labels(names).__getitem__, key=_GROUPS)
    _apply(run, np.isin(groups, chosen), disabled=not chosen)


def _by_number(run: Run, values: np.ndarray, *, column: str, name: str) -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        st.caption("No cell has a value.")
        return
    low, high = float(known.min()), float(known.max())
    if low == high:
        st.caption(f"All cells have the value {low:.3g}.")
        return
    key = f"{_RANGE}.{column}.{name}"  # no limit is taken over to another column or gene
    least, most = st.columns(2)
    at_least = least.number_input(
        f"{escape(name)}, at least", value=None, placeholder=f"{low:.3g}", key=f"{key}.low"
    )
    at_most = most.number_input(
        f"{escape(name)}, at most", value=None, placeholder=f"{high:.3g}", key=f"{key}.high"
    )
    _apply(run, within(values, low=at_least, high=at_most), disabled=at_least is None and at_most is None)


def _by_names(run: Run) -> None:
    """A pasted list."""
    text = st.text_area(
        "Names of cells", key=_NAMES, height=140, placeholder="AAACCTGAGAAACCAT-1\nAAACCTGAGAAACCGC-1"
    )
    if not text.strip():
        return
    with error_in_words():
        found = find_cells(text, run.obs)
        st.caption(with_labels(found.report))
        _apply(run, found.cells, disabled=not found.cells.any())


_WAYS = {"Group or value": _by_column, "Names": _by_names, "Saved": saved_box}


def _apply(run: Run, cells: np.ndarray, *, disabled: bool) -> None:
    st.button(
        f"Select {int(cells.sum()):,} cells", type="primary", disabled=disabled, key="selection.apply",
        on_click=state.change, args=(run, cells, state.how()),
    )  # fmt: skip
