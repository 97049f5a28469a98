"""What a page shows when it has nothing to show: one sentence, and where to go next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from app import session
from app.shared.text import with_labels
from deepvelo.errors import InputError


def empty_state(sentence: str, *, button: str, page: str) -> NoReturn:
    """Say what is missing, offer the page where it comes from, and end this page."""
    st.info(sentence, icon=":material/info:")
    if st.button(button, type="primary", icon=":material/arrow_forward:"):
        session.go(page)
    st.stop()


def say_error(error: InputError | str) -> None:
    """Show what a visitor can mend; every such sentence on a page is shown here."""
    st.error(with_labels(str(error)))


@contextmanager
def error_in_words() -> Iterator[None]:
    """Show what a visitor can mend as a sentence in place of this part of the page; the rest is drawn."""
    try:
        yield
    except InputError as error:
        say_error(error)


@contextmanager
def stop_on_error() -> Iterator[None]:
    """Show what a visitor can mend as a sentence, and end the page there."""
    try:
        yield
    except InputError as error:
        say_error(error)
        st.stop()
