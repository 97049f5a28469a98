"""Choice of the data set: sample, server folder, upload, public data set, or a processed object with its counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import session, visitors
from app.shared import cached, files
from app.shared.empty import say_error
from app.shared.text import box_labels, escape
from deepvelo.datasets import public
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.formats import LABELS, SUFFIXES

Offer = Callable[[], DataSource] | None  # the source that the button loads, checked when it is pressed

KINDS = {
    "sample": "Sample",
    "file": "Server folder",
    "upload": "Upload",
    "public": "Public data",
    "join": "Join counts",
}
_NO_FILES = "The server's data folder holds no data files yet. Put some there, or upload one."


def dataset_picker() -> None:
    """The source of the data, and the button that loads them."""
    kind = st.segmented_control(
        "Source",
        list(KINDS),
        format_func=KINDS.__getitem__,
        default=_chosen_kind(),
        required=True,
        key="data.kind",
        persist_state="session",
    )
    left, right = st.columns([5, 1.4], vertical_alignment="bottom")
    with left:
        offer = _OFFERS[kind]()
    with right:
        pressed = st.button("Load", disabled=offer is None, width="stretch", icon=":material/input:")
    if kind in ("file", "upload", "join"):
        st.caption(f"Formats: {', '.join(LABELS)}.")
    if pressed and offer is not None:
        try:
            session.set_source(offer())
        except InputError as error:
            say_error(error)
            session.set_source(None)
        else:
            st.rerun()  # empties the uploader and lists the new data set


def _chosen_kind() -> str:
    """Source of the data in the URL, so that the picker matches the page."""
    kind = (session.source_text() or "sample").partition(":")[0]
    return kind if kind in KINDS else "sample"


def _chosen_names(names: list[str]) -> list[int]:
    """Positions of the chosen files in the list; the first by default."""
    chosen = files.names_in(session.source_text() or "")
    return [names.index(name) if name in names else 0 for name in [*chosen, ""]]


def _sample() -> Offer:
    st.markdown("A simulated data set in the shape of the mouse dentate gyrus, ready to explore.")
    return partial(DataSource, kind="sample")


def _file() -> Offer:
    names = files.listing()
    if not names:
        st.markdown(_NO_FILES)
        return None
    name = st.selectbox(
        "File",
        names,
        index=_chosen_names(names)[0],
        format_func=box_labels(names).__getitem__,
        key="data.file",
        persist_state="session",
    )
    more, sheet = _samples(names, "file")
    return partial(files.file_source, name, *more, sheet=sheet)


def _upload() -> Offer:
    upload = st.file_uploader(
        f"File, up to {files.MAX_UPLOAD_MB} MB; put larger ones into the server's data folder",
        type=[suffix.rsplit(".")[-1] for suffix in SUFFIXES],
        key=session.upload_key(),
    )
    st.caption(f"The server keeps uploads in `{files.uploads_folder()}` until someone deletes them.")
    _remove_uploads()
    return None if upload is None else partial(_keep, upload)


def _keep(upload: UploadedFile) -> DataSource:
    source = files.file_source(files.save_upload(upload, upload.name, **visitors.visitor()))
    session.drop_upload(upload)
    return source


def _remove_uploads() -> None:
    names = files.uploads()
    if not names:
        return
    with st.popover("Delete uploads", icon=":material/delete:"):
        chosen = st.multiselect(
            "Uploads", names, format_func=box_labels(names).__getitem__, key="data.uploads"
        )
        st.caption("Finished runs do not need their uploads; unfinished ones do.")
        for name in chosen:
            if by := visitors.by_whom(*files.upload_owner(name)):
                st.caption(f":material/warning: {escape(Path(name).name)} was uploaded {escape(by)}.")
        st.button("Delete permanently", disabled=not chosen, on_click=_remove, args=(chosen,))


def _remove(names: list[str]) -> None:
    try:
        used, there = _used_by_jobs(), files.uploads()
        for name in names:
            if name not in there:  # already deleted
                continue
            if str(files.inside(name)) in used:
                msg = f"A training uses {name}. Wait for its end or cancel it."
                raise InputError(msg)
            if name in files.names_in(session.source_text() or ""):
                session.set_source(None)
            files.remove_upload(name)
    except InputError as error:
        say_error(error)


def _used_by_jobs() -> set[str]:
    jobs = [job.source for job in cached.jobs().list() if job.active]
    return {path for source in jobs for path in source.files}


def _public() -> Offer:
    labels = {name: f"{name}: {about}" for name, about in public.NAMES.items()}
    name = st.selectbox(
        "Data set",
        list(labels),
        index=_chosen_names(list(labels))[0],
        format_func=labels.__getitem__,
        help="Data set that scVelo can download. The server downloads it once and keeps it.",
        key="data.public",
        persist_state="session",
    )
    return partial(_fetch, name)


def _fetch(name: str) -> DataSource:
    with st.spinner(f"Downloading {name}"):
        return files.public_source(name, download=True)


def _join() -> Offer:
    names = files.listing()
    if not names:
        st.markdown(_NO_FILES)
        return None
    labels = box_labels(names)
    left, right = st.columns(2)
    processed = left.selectbox(
        "Processed object",
        names,
        index=_chosen_names(names)[0],
        format_func=labels.__getitem__,
        help="File with cell groups and embedding, without spliced and unspliced counts. Choose the counts on the right.",
        key="data.processed",
        persist_state="session",
    )
    counts = right.selectbox(
        "Counts",
        names,
        index=_chosen_names(names)[1],
        format_func=labels.__getitem__,
        help="A loom or h5ad file with spliced and unspliced counts. Barcodes are matched automatically.",
        key="data.counts",
        persist_state="session",
    )
    more, sheet = _samples(names, "join")
    return partial(files.join_source, processed, counts, *more, sheet=sheet)


def _samples(names: list[str], kind: str) -> tuple[list[str], str]:
    """Counts of further samples, and the table that describes them."""
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv", ".txt"))]
    labels = box_labels(names)
    with st.popover("Several samples", icon=":material/library_add:"):
        more = st.multiselect(
            "Counts of further samples",
            [name for name in names if name not in tables],
            format_func=labels.__getitem__,
            help="One file or folder per sample. Cells are named sample:barcode, and obs gets the column sample.",
            key=f"data.more.{kind}",
            persist_state="session",
        )
        sheet = st.selectbox(
            "Sample sheet",
            tables,
            index=None,
            format_func=labels.__getitem__,
            placeholder="None",
            help="Table with one row per sample: its name, its file, and columns to keep, such as condition.",
            key=f"data.sheet.{kind}",
            persist_state="session",
        )
    return more, sheet or ""


_OFFERS: dict[str, Callable[[], Offer]] = {
    "sample": _sample,
    "file": _file,
    "upload": _upload,
    "public": _public,
    "join": _join,
}
