"""Figures on a page: in the page's colours, with nothing that calls out to the net."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

import plotly.graph_objects as go
import streamlit as st

from app import session
from deepvelo.pl import theme
from deepvelo.wording import in_one_line

FORMAT_KEY = "pictures.format"
_MOST_OF_ALT: Final = 300  # characters
_MOST_OF_A_FILE_NAME: Final = 100


def is_dark() -> bool:
    """Whether the visitor looks at the dark theme."""
    return st.context.theme.type == "dark"


def show(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` says in words what it shows, and names the file its camera saves."""
    alt = in_one_line(alt, most=_MOST_OF_ALT)
    st.plotly_chart(figure, key=key, config=config(alt), alt=alt)


def config(name: str) -> dict[str, Any]:
    """Plotly's configuration of a figure whose camera saves a file called like this."""
    return theme.figure_config(
        file_name=file_name(name), picture_format=session.widget_value(FORMAT_KEY) or "svg"
    )


def file_name(text: str) -> str:
    """Text as the name of a file without its ending: letters and digits, and hyphens between them."""
    return re.sub(r"\W+", "-", text)[:_MOST_OF_A_FILE_NAME].strip("-")


def picture_format() -> None:
    """What the camera over every picture saves, for the sidebar."""
    formats: tuple[theme.PictureFormat, ...] = get_args(theme.PictureFormat)
    st.segmented_control(
        "Save pictures as", formats, default="svg", required=True, format_func=str.upper, key=FORMAT_KEY,
        persist_state="session", help="For the camera that shows over a picture: SVG for papers, PNG for slides.",
    )  # fmt: skip
