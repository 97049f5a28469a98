"""Values of widgets that a link keeps: each has a name in the URL of its page, and is left out there at its default.

Each function returns keyword arguments for the widget, which must have no default of its own. A widget that holds no
value takes it from the URL. If the page does not have what the URL names, a message says so and the widget shows its default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypedDict

import streamlit as st

from app import session
from app.shared.text import with_labels
from deepvelo.wording import listed

_ON, _OFF = "on", "off"
_SHOWN: Final = 5  # names in a message


class Kept(TypedDict):
    """Keyword arguments of a widget."""

    key: str
    persist_state: Literal["session"]


def one_of(
    name: str, options: Sequence[str], *, key: str, default: str | None = None, always: bool = False
) -> Kept:
    """One of some options, for ``st.selectbox`` and ``st.segmented_control``.

    Parameters
    ----------
    name
        Name in the URL, also for the visitor.
    options
        The values, which the URL shows as they are.
    key
        Key of the widget.
    default
        The first option unless given.
    always
        Write the default into the URL too, because it may be another one when the link is opened.
    """
    default = options[0] if default is None or default not in options else default
    _keep(
        name, key, default, read=lambda given: given[-1] if given[-1] in options else None,
        fits=lambda value: value in options, write=lambda value: [value], always=always,
    )  # fmt: skip
    return {"key": key, "persist_state": "session"}


def some_of(
    name: str, options: Sequence[str], *, key: str, default: Sequence[str] = (), most: int | None = None,
    always: bool = False,
) -> Kept:  # fmt: skip
    """Any number of some options, at most ``most``, for ``st.multiselect``; other parameters as in `one_of`."""
    offered = frozenset(options)

    def read(given: list[str]) -> list[str]:
        gone = [value for value in given if value and value not in offered]
        if gone:
            _say_lacking(name, gone)
        return [value for value in dict.fromkeys(given) if value in offered][:most]

    _keep(
        name, key, [value for value in default if value in offered], read=read, fits=offered.issuperset,
        repair=lambda values: [value for value in values if value in offered],
        write=lambda values: list(values) or [""], always=always,
    )  # fmt: skip
    return {"key": key, "persist_state": "session"}


def any_of(name: str, *, key: str, default: Sequence[str] = (), most: int) -> Kept:
    """Any texts, at most ``most``, for ``st.multiselect`` with new options; other parameters as in `one_of`."""
    _keep(
        name, key, list(default), read=lambda given: [text for text in dict.fromkeys(given) if text][:most],
        fits=lambda _: True, write=lambda values: list(values) or [""],
    )  # fmt: skip
    return {"key": key, "persist_state": "session"}


def number_in(
    name: str, least: float, most: float, default: float | None, *, key: str, may_be_empty: bool = False,
    always: bool = False,
) -> Kept:  # fmt: skip
    """A number, for ``st.slider`` and ``st.number_input``; the type of ``least`` decides whether it is an integer.

    Other parameters as in `one_of`.
    """

    def read(given: list[str]) -> float | None:
        try:
            value = type(least)(given[-1])
        except ValueError:
            return None
        return value if least <= value <= most else None

    _keep(
        name, key, default, read=read, empty=may_be_empty,
        fits=lambda value: may_be_empty if value is None else least <= value <= most,
        write=lambda value: ["" if value is None else f"{value:g}"], always=always,
    )  # fmt: skip
    return {"key": key, "persist_state": "session"}


def switch(name: str, *, key: str, default: bool = False) -> Kept:
    """On or off, for ``st.toggle``; parameters as in `one_of`."""
    _keep(
        name, key, default, read=lambda given: {_ON: True, _OFF: False}.get(given[-1]), fits=lambda _: True,
        write=lambda value: [_ON if value else _OFF],
    )  # fmt: skip
    return {"key": key, "persist_state": "session"}


def _keep(
    name: str,
    key: str,
    default: Any,
    *,
    read: Callable[[list[str]], Any],
    fits: Callable[[Any], bool],
    write: Callable[[Any], list[str]],
    repair: Callable[[Any], Any] | None = None,
    empty: bool = False,
    always: bool = False,
) -> None:
    """Fill the widget from the URL or by default, and write its value into the URL."""
    given = session.from_url(name, key=key)
    if given is not None:
        value = read(given)
        if value is None and not (empty and given[-1] == ""):
            _say_lacking(name, given[-1:])
            value = default
        session.fill({key: value})
    else:
        session.fill_missing({key: default})
    value = session.widget_value(key)
    if not fits(value):  # of another run
        value = default if repair is None else repair(value)
        session.fill({key: value})
    session.put_in_url(name, write(value) if always or value != default else None)


def _say_lacking(name: str, values: Sequence[str]) -> None:
    more = f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else ""
    say_gone(
        f"The link names what this page does not have: {name} {listed(values[:_SHOWN])}{more}. It shows the rest."
    )


def say_gone(message: str) -> None:
    """Say what a link names that is gone, beside the page and until the visitor closes it."""
    st.toast(with_labels(message), icon=":material/link_off:", duration="infinite")
