"""Figures on a page: in the page's colours, with nothing that calls out to the net."""

from __future__ import annotations

import re
from typing import get_args

import plotly.graph_objects as go
import streamlit as st

from app import session
from deepvelo.pl import theme

FORMAT_KEY = "pictures.format"


def is_dark() -> bool:
    """Whether the visitor looks at the dark theme."""
    return st.context.theme.type == "dark"


def show(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` says in words what it shows, and names the file its camera saves."""
    config = theme.figure_config(
        file_name=re.sub(r"\W+", "-", alt).strip("-"),
        picture_format=session.widget_value(FORMAT_KEY) or "svg",
    )
    st.plotly_chart(figure, key=key, config=config, alt=alt)


def picture_format() -> None:
    """What the camera over every picture saves, for the sidebar."""
    formats: tuple[theme.PictureFormat, ...] = get_args(theme.PictureFormat)
    st.segmented_control(
        "Save pictures as", formats, default="svg", required=True, format_func=str.upper, key=FORMAT_KEY,
        persist_state="session", help="For the camera that shows over a picture: SVG for papers, PNG for slides.",
    )  # fmt: skip
