"""What a page shows without data or after an error: one sentence, and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from app import session
from app.shared.text import with_labels
from deepvelo.errors import InputError


def empty_state(sentence: str, *, button: str, page: str) -> NoReturn:
    """Say what is missing, link to the page that provides it, and end this page."""
    st.info(sentence, icon=":material/info:")
    if st.button(button, type="primary", icon=":material/arrow_forward:"):
        session.go(page)
    st.stop()


def say_error(error: InputError | str) -> None:
    """Show an error that a visitor can fix; all pages show errors through this function."""
    st.error(with_labels(str(error)))


def say_in_toast(text: str) -> None:
    """Show a sentence over the page until it is closed; for callbacks, which run before the page is drawn."""
    st.toast(with_labels(text), icon=":material/info:", duration="infinite")


@contextmanager
def problem_in_toast() -> Iterator[None]:
    """Show an error of a callback over the page."""
    try:
        yield
    except InputError as error:
        say_in_toast(str(error))


@contextmanager
def error_in_words() -> Iterator[None]:
    """Show an error in place of this part of the page and draw the rest."""
    try:
        yield
    except InputError as error:
        say_error(error)


@contextmanager
def stop_on_error() -> Iterator[None]:
    """Show an error and end the page there."""
    try:
        yield
    except InputError as error:
        say_error(error)
        st.stop()
