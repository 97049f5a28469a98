"""Figures on a page, in the theme's colours and without network access."""

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
    """Whether the visitor uses the dark theme."""
    return st.context.theme.type == "dark"


def show(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` describes it and names the file that its camera button saves."""
    alt = in_one_line(alt, most=_MOST_OF_ALT)
    st.plotly_chart(figure, key=key, config=config(alt), alt=alt)


def config(name: str) -> dict[str, Any]:
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
