"""Train a new run on the selected cells alone."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import streamlit as st

from app import session
from app.selection import state
from app.shared import files
from app.shared.empty import problem_in_toast
from app.shared.grouping import groups_and_colors
from app.visitors import visitor
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.selections import store
from deepvelo.selections.checked_file import LONGEST_NAME
from deepvelo.selections.store import SavedSelection
from deepvelo.wording import in_one_line, number

_MOST_OF_A_NAME = 100  # characters, of a group in the name of a selection


def train_button(run: Run) -> None:
    """A button that saves the selection, chooses its cells as the data set and opens the training."""
    cells = state.selected(run)
    if st.button(
        "Train", icon=":material/model_training:", disabled=cells is None, key="selection.train",
        help="Train a new run on the selected cells alone; the selection is saved.",
    ) and cells is not None:  # fmt: skip
        with problem_in_toast():
            saved = _saved(run, cells)
            state.change(run, cells, saved=saved)
            session.set_source(files.cells_source(run.info.run_id, saved.selection_id))
            session.go("train")


def _saved(run: Run, cells: np.ndarray) -> SavedSelection:
    """The saved selection of these cells, under its name or one that says what they are; others are not replaced."""
    names = list(run.obs.index[cells].astype(str))
    wanted = state.name(run) or _in_short(groups_and_colors(run)[0][cells])
    for i in count(1):
        suffix = f" ({i})" if i > 1 else ""
        name = wanted[: LONGEST_NAME - len(suffix)] + suffix
        earlier = store.find(run.folder, name)
        if earlier is None:
            break
        if _has(run, earlier, names):
            return earlier
    return store.save(run.folder, name, names, **visitor())


def _has(run: Run, saved: SavedSelection, names: list[str]) -> bool:
    """Whether a saved selection is of these cells; not if it cannot be read."""
    try:
        return set(store.load(run.folder, saved.selection_id)[1]) == set(names)
    except InputError:
        return False


def _in_short(groups: np.ndarray) -> str:
    """``312 cells of Granule mature and 2 more``."""
    sizes = pd.Series(groups).value_counts()
    more = f" and {len(sizes) - 1} more" if len(sizes) > 1 else ""
    return f"{number(len(groups), 'cell')} of {in_one_line(sizes.index[0], most=_MOST_OF_A_NAME)}{more}"
