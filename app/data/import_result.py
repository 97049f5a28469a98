"""Import the velocities that another tool computed, as a run."""

from __future__ import annotations

import streamlit as st

from app import session, visitors
from app.background.job_status import JobStatus
from app.shared import cached, files
from app.shared.empty import error_in_words, say_error
from app.shared.live_jobs import live_jobs
from app.shared.text import box_labels, escape
from deepvelo.arrays.matrices import is_numeric
from deepvelo.config import Settings, replace
from deepvelo.contents.imported import tool_of, velocity_layers
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.read import SUFFIXES
from deepvelo.memory import estimate_memory

FILE_KEY = "import.file"
_PLACE = "import"  # of the uploader among those of the page


def import_result() -> None:
    """Form for file, layer and tool, and the jobs of imports."""
    with st.expander("Import a result of another tool", icon=":material/move_to_inbox:"):
        st.markdown(
            "Velocities of scVelo, dynamo, cellDancer, veloVI, UniTVelo or any other tool become a run, with the moments, "
            "neighbours and embedding of the file. Compare, Lineages and Phase portraits show imported runs too."
        )
        name = _file()
        if name is not None:
            with error_in_words():
                _form(files.file_source(name))
        live_jobs(_is_import)


def _is_import(job: JobStatus) -> bool:
    return job.settings.method == "imported"


def _file() -> str | None:
    left, right = st.columns(2)
    names = files.listing()
    name = left.selectbox(
        "File with the result",
        names,
        index=None,
        format_func=box_labels(names).__getitem__,
        placeholder="Choose a file in the server folder",
        key=FILE_KEY,
        persist_state="session",
    )
    right.file_uploader(
        f"Or upload one, up to {files.MAX_UPLOAD_MB} MB",
        type=[suffix.rsplit(".")[-1] for suffix in SUFFIXES],
        key=session.upload_key(_PLACE),
        on_change=_keep_upload,
    )
    return name


def _keep_upload() -> None:
    upload = session.widget_value(session.upload_key(_PLACE))
    if upload is None:
        return
    try:
        name = files.save_upload(upload, upload.name, **visitors.visitor())
    except InputError as error:
        say_error(error)
        return
    session.fill({FILE_KEY: name})
    session.drop_upload(upload, _PLACE)


def _form(source: DataSource) -> None:
    adata = cached.dataset(source)
    layers = sorted(layer for layer in adata.layers if is_numeric(adata.layers[layer]))
    likely = velocity_layers(layers)
    layer_box, tool_box, groups_box = st.columns(3)
    layer = layer_box.selectbox(
        "Layer with the velocities",
        layers,
        index=layers.index(likely[0]) if likely else None,
        format_func=box_labels(layers).__getitem__,
        placeholder="Choose a layer",
        help="Layer with ds/dt of spliced RNA, cells × genes. Change it if the tool stores several.",
        key=f"import.layer.{source.path}",
    )
    tool = tool_box.text_input(
        "Tool",
        value=tool_of(adata),
        max_chars=40,
        help="Name of the tool, as pages show it. Change it if it was not detected.",
        key=f"import.tool.{source.path}",
    )
    groups = cached.summary(source).groupings
    usual = cached.cluster_key(source)
    cluster_key = groups_box.selectbox(
        "Cell groups",
        groups,
        index=groups.index(usual) if usual in groups else None,
        format_func=box_labels(groups).__getitem__,
        placeholder="Leiden clusters (computed)",
        key=f"import.groups.{source.path}",
    )
    settings = replace(Settings(), {"method": "imported", "layer": layer or "", "tool": tool.strip()})
    if st.button("Import the result", type="primary", disabled=layer is None, icon=":material/input:"):
        _start(
            source,
            settings,
            cluster_key=cluster_key,
            memory=estimate_memory(adata.n_obs, adata.n_vars, settings),
        )


def _start(source: DataSource, settings: Settings, *, cluster_key: str | None, memory: int) -> None:
    same = cached.jobs().same(source, settings, cluster_key=cluster_key)
    if same is not None:
        st.info(f"**{escape(same.name)}** is being imported.")
        return
    cached.store().require_writable()  # reported here rather than by a job that fails later
    cached.jobs().submit(source, settings, cluster_key=cluster_key, memory=memory, **visitors.visitor())
    st.rerun()
