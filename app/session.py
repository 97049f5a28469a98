"""The only file that touches ``st.session_state`` and ``st.query_params``.

What a visitor looks at, the data, run, gene and colour, lives in both: the session carries it from page
to page, the URL into another browser or through a reload. The URL is read where the session knows
nothing yet; after that the session leads and `sync_url` writes the URL, so a click that overtakes the
browser's address bar is never undone by the older address.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Literal, TypedDict

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import ROOT
from app.shared import files
from deepvelo.datasets.source import DataSource

Name = Literal["data", "run", "gene", "color"]
NAMES: tuple[Name, ...] = ("data", "run", "gene", "color")
GENE_COLOR = "gene"  # colour value that means: the chosen gene's expression
_SELECTED = "selected_cells"
_VISIT = "visit"
_UPLOADS = "n_uploads"


class Linked(TypedDict):
    """Keyword arguments that tie a widget to one of the shared choices."""

    key: str
    on_change: Callable[[Name, str], None]
    args: tuple[Name, str]


def _get(name: Name) -> str | None:
    value = st.session_state.get(name) or st.query_params.get(name)
    return str(value) if value else None


def _set(name: Name, value: str | None) -> None:
    if value == _get(name):
        return
    if value:
        st.session_state[name] = value
        st.query_params[name] = value
        return
    st.session_state.pop(name, None)
    st.query_params.pop(name, None)


def sync_url() -> None:
    """Bring session and URL together; the entry file calls it before the page is drawn."""
    for name in NAMES:
        value = _get(name)
        if value is None:
            continue
        st.session_state[name] = value
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def linked(name: Name, value: str | None, *, key: str | None = None) -> Linked:
    """Tie a select widget to a shared choice: ``st.selectbox("Gene", genes, **linked("gene", gene))``.

    The widget shows ``value``, also when it was changed elsewhere, and writes what the visitor picks.
    """
    key = key or f"pick_{name}"
    st.session_state[key] = value
    return {"key": key, "on_change": _picked, "args": (name, key)}


def _picked(name: Name, key: str) -> None:
    value = st.session_state[key]
    if name == "run":
        set_run(value)
    else:
        _set(name, value)


def fill(values: dict[str, Any]) -> None:
    """Set widgets by key, from a callback, so that a form shows these values on the next run."""
    for key, value in values.items():
        st.session_state[key] = value


def fill_first(key: str, value: Any) -> None:
    """Give a widget its first value; for those that buttons elsewhere set, which may have no ``default`` of their own."""
    if st.session_state.get(key) is None:
        st.session_state[key] = value


def fill_missing(values: dict[str, Any]) -> None:
    """Set those widgets that hold nothing yet; one that a visitor emptied stays empty."""
    fill({key: value for key, value in values.items() if key not in st.session_state})


def widget_value(key: str) -> Any:
    """What the widget with this key holds, None if it was never drawn."""
    return st.session_state.get(key)


def source() -> DataSource | None:
    """The chosen data, or None.

    Raises
    ------
    InputError
        The URL names data that are not there.
    """
    text = _get("data")
    return None if text is None else files.from_text(text)


def source_text() -> str | None:
    """The chosen data as in the URL, not checked; `app.shared.files.to_text` has the form."""
    return _get("data")


def set_source(value: DataSource | None) -> None:
    """Choose the data to look at and train on."""
    _set("data", None if value is None else files.to_text(value))


def use_sample() -> None:
    """Choose the sample; made for buttons, which call it before the page is drawn."""
    set_source(DataSource(kind="sample"))


def run_id() -> str | None:
    """The chosen run; it may not exist, when it came with a URL."""
    return _get("run")


def set_run(value: str | None) -> None:
    """Choose a run; a lasso belongs to one run's cells and is dropped."""
    if value != run_id():
        st.session_state.pop(_SELECTED, None)
    _set("run", value)


def gene() -> str | None:
    """The chosen gene; it may not be in the run, when it came with a URL or another run."""
    return _get("gene")


def set_gene(value: str | None) -> None:
    """Choose a gene."""
    _set("gene", value)


def color() -> str | None:
    """What cells are coloured by: a column of ``obs``, or `GENE_COLOR`."""
    return _get("color")


def selected_cells() -> tuple[int, ...]:
    """Row numbers of the cells chosen with a lasso in the present run; empty means no choice."""
    return tuple(st.session_state.get(_SELECTED, ()))


def set_selected_cells(cells: list[int] | tuple[int, ...]) -> None:
    """Keep a lasso, which Plotly forgets as soon as the picture is drawn in other colours."""
    st.session_state[_SELECTED] = tuple(int(cell) for cell in cells)


def visit() -> str:
    """A random name of this visit, for a browser that keeps no cookies."""
    return str(st.session_state.setdefault(_VISIT, secrets.token_hex(16)))


def upload_key(place: str = "data") -> str:
    """Key of the uploader of a place; a new one after each upload that was kept, so that it is empty again."""
    return f"{place}.upload.{st.session_state.get(_UPLOADS, 0)}"


def drop_upload(upload: UploadedFile, place: str = "data") -> None:
    """Let go of an uploaded file: the server would hold it in memory as long as the visit lasts."""
    st.session_state.pop(upload_key(place), None)
    st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)


def go(page: str) -> None:
    """Leave for another page of ``pages/``, by file name without ``.py``, and keep the view."""
    kept: dict[str, str] = {name: value for name in NAMES if (value := _get(name))}
    st.switch_page(ROOT / "pages" / f"{page}.py", query_params=kept)
