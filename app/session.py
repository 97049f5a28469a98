"""The only file that touches ``st.session_state`` and ``st.query_params``.

Both hold the view: the session keeps it from page to page, the URL across reloads and browsers. The chosen data, run,
gene, gene list, colour and groups belong to every page; the values of other widgets, read through `app.shared.view`, to the page that draws
them. The app reads the URL only for choices that the session lacks. After that the session writes the URL, so that an
outdated address never undoes a click.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypedDict
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import ROOT
from app.shared import files
from deepvelo.datasets.source import DataSource
from deepvelo.selections.store import SavedSelection

Name = Literal["data", "run", "gene", "list", "color", "groups"]
NAMES: tuple[Name, ...] = ("data", "run", "gene", "list", "color", "groups")
GENE_COLOR = "gene"  # colours by the expression of the chosen gene
_SELECTIONS = "selections"  # by data set
_KNOWN_ARRAYS = "chart.arrays"
_GESTURES = "chart.gestures"
_MOST_KNOWN, _MOST_SELECTIONS = 4_000, 20
_VISIT = "visit"
_UPLOADS = "n_uploads"
_LAST_GENES: Final = "last_genes"
_MOST_LAST_GENES: Final = 8
_PAGE, _VIEWS = "page", "views"
_MOST_VALUES: Final = 1000  # of one name in the URL


class Linked(TypedDict):
    """Keyword arguments that link a widget to one of the shared choices."""

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


def sync_url(page: str = "") -> None:
    """Synchronise session and URL; the entry file calls it before it draws the page.

    Parameters
    ----------
    page
        Name of the page, to whose widgets `put_in_url` belongs.
    """
    st.session_state[_PAGE] = page
    view: dict[str, list[str] | None] = {}
    for name in NAMES:
        value = _get(name)
        if value is not None:
            st.session_state[name] = value
            view[name] = [value]
    _write_url(view | _view_of_page())


def from_url(name: str, *, key: str) -> list[str] | None:
    """What a link says about a widget; None if it says nothing, or was read before, for instance for another run."""
    if key in st.session_state or name in _view_of_page() or name not in st.query_params:
        return None
    return st.query_params.get_all(name)[:_MOST_VALUES]


def put_in_url(name: str, values: list[str] | None) -> None:
    """Write the value of a widget of this page into the URL, now and when the page is opened again; None leaves it out."""
    views = st.session_state.setdefault(_VIEWS, {})
    views.setdefault(st.session_state.get(_PAGE, ""), {})[name] = values
    _write_url({name: values})


def link() -> str:
    """Address of this view, for another browser."""
    return f"{st.context.url}?{urlencode(_in_url(), doseq=True)}"


def _view_of_page() -> dict[str, list[str] | None]:
    views: dict[str, dict[str, list[str] | None]] = st.session_state.get(_VIEWS, {})
    return views.get(st.session_state.get(_PAGE, ""), {})


def _in_url() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _write_url(view: dict[str, list[str] | None]) -> None:
    """Change parts of the URL in one message, because each is a step in the browser's history."""
    before = _in_url()
    after = {name: values for name, values in (before | view).items() if values is not None}
    if after != before:
        st.query_params.from_dict(
            {name: values[0] if len(values) == 1 else values for name, values in after.items()}
        )


def linked(name: Name, value: str | None, *, key: str | None = None) -> Linked:
    """Link a select widget to a shared choice: ``st.selectbox("Colour", colors, **linked("color", color))``.

    The widget shows ``value`` and stores what the visitor picks.
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
    """Set widgets by key; called from callbacks, so that the next run shows the values."""
    for key, value in values.items():
        st.session_state[key] = value


def fill_first(key: str, value: Any) -> None:
    """Set a widget that holds no value; for widgets that other code sets too, which may have no ``default``."""
    if st.session_state.get(key) is None:
        st.session_state[key] = value


def fill_missing(values: dict[str, Any]) -> None:
    """Set widgets that were never drawn; those that a visitor emptied stay empty."""
    fill({key: value for key, value in values.items() if key not in st.session_state})


def widget_value(key: str) -> Any:
    """Value of the widget with this key; None if it was never drawn."""
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
    """The chosen data as in the URL, unchecked; `app.shared.files.to_text` writes this form."""
    return _get("data")


def set_source(value: DataSource | None) -> None:
    """Choose the data set to show and train on."""
    _set("data", None if value is None else files.to_text(value))


def use_sample() -> None:
    """Choose the sample data set; a callback for buttons."""
    set_source(DataSource(kind="sample"))


def run_id() -> str | None:
    """The chosen run; one from a URL may not exist."""
    return _get("run")


def set_run(value: str | None) -> None:
    """Choose a run."""
    _set("run", value)


def gene() -> str | None:
    """The chosen gene; one from a URL or another run may not exist in this run."""
    return _get("gene")


def set_gene(value: str | None) -> None:
    """Choose a gene."""
    _set("gene", value)


def looked_at(value: str) -> None:
    """Remember that a gene was shown."""
    others = [gene for gene in last_genes() if gene != value]
    st.session_state[_LAST_GENES] = [value, *others][:_MOST_LAST_GENES]


def last_genes() -> list[str]:
    """The genes shown last, the newest first; of all runs."""
    return list(st.session_state.get(_LAST_GENES, ()))


def gene_list() -> str | None:
    """Id of the chosen gene list; one from a URL may not exist."""
    return _get("list")


def set_gene_list(value: str | None) -> None:
    """Choose a gene list, or none."""
    _set("list", value)


def color() -> str | None:
    """The colouring of cells: a column of ``obs``, or `GENE_COLOR`."""
    return _get("color")


def set_color(value: str | None) -> None:
    """Choose the colouring of cells; None for that by the shown groups."""
    _set("color", value)


def groups() -> str | None:
    """The chosen grouping; None for the run's own. One from a URL or another run may not exist in this run."""
    return _get("groups")


def set_groups(value: str | None) -> None:
    """Choose the grouping to show; None for the run's own."""
    _set("groups", value)


class KeptSelection(TypedDict):
    """The selections of a data set, as `app.selection.state` packs them."""

    run: str
    size: int
    steps: list[tuple[bytes, SavedSelection | None]]
    """Packed masks, and the saved selection that each is."""


def selection(data: str) -> KeptSelection | None:
    """The selections of a data set in this session; None if no cells were selected yet."""
    found: KeptSelection | None = st.session_state.get(_SELECTIONS, {}).get(data)
    return found


def keep_selection(data: str, kept: KeptSelection) -> None:
    """Keep the selections of a data set; the data set selected on least recently is dropped."""
    others = {name: old for name, old in st.session_state.get(_SELECTIONS, {}).items() if name != data}
    st.session_state[_SELECTIONS] = dict([*others.items(), (data, kept)][-_MOST_SELECTIONS:])


def known_arrays() -> list[str]:
    """Ids of the arrays that this browser holds, the latest last."""
    return list(st.session_state.get(_KNOWN_ARRAYS, ()))


def keep_known_arrays(ids: Iterable[str]) -> None:
    """Remember which arrays this browser holds."""
    st.session_state[_KNOWN_ARRAYS] = list(ids)[-_MOST_KNOWN:]


def gestures_taken(key: str) -> int:
    """Number of the last gesture on this figure that was taken; the browser's gestures are numbered by its clock."""
    return int(st.session_state.get(_GESTURES, {}).get(key, 0))


def keep_gestures_taken(key: str, number: int) -> None:
    """Remember the number of the last gesture taken."""
    st.session_state[_GESTURES] = st.session_state.get(_GESTURES, {}) | {key: number}


def sent(key: str, name: str) -> Any:
    """What a figure sent last under this name, in its callback; None for nothing."""
    return getattr(st.session_state.get(key), name, None)


def visit() -> str:
    """A random id of this visit, for browsers without cookies."""
    return str(st.session_state.setdefault(_VISIT, secrets.token_hex(16)))


def upload_key(place: str = "data") -> str:
    """Key of the uploader of a page; each stored upload changes it, which empties the uploader."""
    return f"{place}.upload.{st.session_state.get(_UPLOADS, 0)}"


def drop_upload(upload: UploadedFile, place: str = "data") -> None:
    """Free an uploaded file, which the server would keep in memory until the visit ends."""
    st.session_state.pop(upload_key(place), None)
    st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)


def go(page: str) -> None:
    """Open another page of ``pages/``, by file name without ``.py``, with the same choices."""
    kept: dict[str, str] = {name: value for name in NAMES if (value := _get(name))}
    st.switch_page(ROOT / "pages" / f"{page}.py", query_params=kept)
