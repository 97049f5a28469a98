"""The selected cells: which they are, and what is different in them."""

import streamlit as st

from app.selection.bar import selection_bar
from app.selection.differences import differences
from app.shared.empty import stop_on_error
from app.shared.run_picker import require_run
from app.shared.shown_run import run_fragment
from deepvelo.io.runs import Run


@run_fragment
def explorer(run: Run) -> None:
    """A change of the selection redraws only this part."""
    selection_bar(run)
    with stop_on_error():
        differences(run)


st.header("Selection")
run = require_run()
explorer(run)
