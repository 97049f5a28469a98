"""Figures on a page, in the theme's colours and without network access."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, get_args

import plotly.graph_objects as go
import streamlit as st

from app import session
from app.chart.component import mount
from app.chart.message import Message, header_id
from app.selection import linked, state
from deepvelo.pl import theme
from deepvelo.wording import in_one_line

FORMAT_KEY = "pictures.format"
_MOST_OF_ALT: Final = 300  # characters
_MOST_OF_A_FILE_NAME: Final = 100


def is_dark() -> bool:
    """Whether the visitor uses the dark theme."""
    return st.context.theme.type == "dark"


def show(
    figure: go.Figure,
    *,
    key: str,
    alt: str,
    cells: linked.Cells | None = None,
    view: str | None = None,
    on_pick: Callable[[object], None] | None = None,
) -> None:
    """Draw a figure.

    Parameters
    ----------
    alt
        Describes the figure and names the file that its camera button saves.
    cells
        The cells behind the figure, which are then selected on it.
    view
        What the axes show; zoom and pan stay until it changes.
    on_pick
        Called with the ``customdata`` of a clicked point, as the browser sends it.
    """
    alt = in_one_line(alt, most=_MOST_OF_ALT)
    known = session.known_arrays()
    message = Message(known)
    shown = message.figure(figure, rows=None if cells is None else cells.rows)
    shown["layout"]["uirevision"] = alt if view is None else view
    header: dict[str, Any] = {
        "figure": shown,
        "config": _config(alt),
        "alt": alt,
        "pickable": on_pick is not None,
    }
    header["id"] = header_id(header)
    on = {"missing": lambda: _send_again(key)}
    if on_pick is not None:
        on["picked"] = lambda: on_pick(session.sent(key, "picked"))
    if cells is not None:
        if shown["layout"].get("dragmode") != "pan":
            shown["layout"]["dragmode"] = "lasso"
        header |= linked.described(cells, message, taken=session.gestures_taken(key))
        axes, of_selection = str(shown["layout"]["uirevision"]), str(header["selection"]["key"])
        on["gestures"] = lambda: _take_gestures(cells, key, view=axes, of_selection=of_selection)
        on["restored"] = lambda: state.restore(cells.run, session.sent(key, "restored"), key=of_selection)
    height = int(figure.layout.height or theme.HEIGHT)
    mount(message.packed(header), key=key, height=height, on=on)
    session.keep_known_arrays([*(name for name in known if name not in message.arrays), *message.arrays])


def _take_gestures(cells: linked.Cells, key: str, *, view: str, of_selection: str) -> None:
    taken = linked.take_gestures(
        cells, session.sent(key, "gestures"), view=view, key=of_selection, taken=session.gestures_taken(key)
    )
    session.keep_gestures_taken(key, taken)


def _send_again(key: str) -> None:
    """Forget that the browser holds arrays that it lacks."""
    gone = session.sent(key, "missing")
    if isinstance(gone, list):
        session.keep_known_arrays(name for name in session.known_arrays() if name not in gone)


def _config(name: str) -> dict[str, Any]:
    """Plotly's configuration of a figure; ``name`` becomes the name of saved files."""
    return theme.figure_config(
        file_name=file_name(name), picture_format=session.widget_value(FORMAT_KEY) or "svg"
    )


def file_name(text: str) -> str:
    """Text as a file name without suffix: letters and digits, separated by hyphens."""
    return re.sub(r"\W+", "-", text)[:_MOST_OF_A_FILE_NAME].strip("-")


def picture_format() -> None:
    """Format that the camera button of every figure saves, for the sidebar."""
    formats: tuple[theme.PictureFormat, ...] = get_args(theme.PictureFormat)
    st.segmented_control(
        "Save figures as", formats, default="svg", required=True, format_func=str.upper, key=FORMAT_KEY,
        persist_state="session", help="Format that the camera button over a figure saves. Choose SVG for papers and PNG for slides.",
    )  # fmt: skip
