"""The element that draws a figure in the browser (``assets/chart.js``).

Streamlit's own element for Plotly forgets zoom and selection whenever a figure changes, and sends all arrays again. This one
keeps them, because it is a component of ours with the same library.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import plotly
import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

_NAME: Final = "deepvelo.chart"
_FOLDERS: Final = {
    "chart": Path(__file__).parent / "assets",
    "plotly": Path(plotly.__file__).parent / "package_data",
}


def mount(message: bytes, *, key: str, height: int, on: dict[str, Callable[[], None]]) -> None:
    """Draw the figure of a message.

    Parameters
    ----------
    on
        Callbacks by what the browser sends: ``gestures``, ``missing``, ``picked`` and ``restored``; `app.session.sent` has the
        values.
    """
    _serve_assets()
    chart = st.components.v2.component(_NAME, js="chart.js", isolate_styles=False)
    callbacks: dict[str, Any] = {f"on_{name}_change": call for name, call in on.items()}
    chart(key=key, data=message, height=height, **callbacks)


def _serve_assets() -> None:
    """Let the server serve our script, and Plotly's from the package of the same version as the figures."""
    manager = get_bidi_component_manager()
    for name, folder in _FOLDERS.items():
        if manager.get_component_asset_root(f"deepvelo.{name}") != folder.resolve():
            manifest = ComponentManifest("deepvelo", "", [ComponentConfig(name, folder.name)])
            manager.register_from_manifest(manifest, folder.parent)
