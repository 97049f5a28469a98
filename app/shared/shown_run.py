"""Guards for parts of pages that draw a run, which anyone may delete meanwhile."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec

import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import say_error
from deepvelo.errors import InputError
from deepvelo.io.runs import Run

logger = logging.getLogger(__name__)
P = ParamSpec("P")


@contextmanager
def gone_in_words() -> Iterator[None]:
    """Show errors; an unexpected one that follows from the deletion of the run is shown as that."""
    try:
        yield
    except InputError as error:
        say_error(error)
    except Exception:
        gone = _why_gone()
        if gone is None:
            raise
        logger.info("a page failed because its run is gone", exc_info=True)
        say_error(gone)


def run_fragment(draw: Callable[Concatenate[Run, P], None]) -> Callable[Concatenate[Run, P], None]:
    """``st.fragment`` for functions that draw a run; each redraw checks that the run still exists."""

    @st.fragment
    @functools.wraps(draw)
    def drawn(run: Run, *args: P.args, **options: P.kwargs) -> None:
        with gone_in_words():
            run.require_stored()
            draw(run, *args, **options)

    return drawn


def _why_gone() -> InputError | str | None:
    """The reason why the chosen run is no longer available; None if it is."""
    if problem := cached.store().problem():
        return problem
    run_id = session.run_id()
    if run_id is None:
        return None
    try:
        cached.open_run(run_id)
    except InputError as error:
        return error
    return None
