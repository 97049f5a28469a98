"""Figures on a page: in the page's colours, with nothing that calls out to the net."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from deepvelo.pl import theme


def is_dark() -> bool:
    """Whether the visitor looks at the dark theme."""
    return st.context.theme.type == "dark"


def show(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` says in words what it shows."""
    st.plotly_chart(figure, key=key, config=theme.FIGURE_CONFIG, alt=alt)
