"""The link to the view, for a colleague or a notebook."""

from __future__ import annotations

import streamlit as st

from app import session


@st.fragment
def copy_link() -> None:
    """A button for the sidebar that opens the link with its copy button; written when opened, after all changes of the view."""
    box = st.popover("Copy link", icon=":material/link:", key="link", on_change="rerun", width="stretch")
    if box.open:
        with box:
            st.caption("Opens this view in another browser that can reach this server.")
            st.code(session.link(), language=None, wrap_lines=True)
