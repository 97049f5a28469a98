"""Figures assembled in one call from plain dictionaries.

Plotly validates the whole figure whenever a trace or property is added, which dominated the time of a page with two
figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

Part = dict[str, Any]
"""Properties of a trace, an annotation or an axis, as Plotly names them."""

_TITLE_SIZE: Final = 16  # of panel titles, as in Plotly


class Grid:
    """Panels in rows and columns, as laid out by `plotly.subplots.make_subplots`; counted from 0, row by row.

    Attributes
    ----------
    axes
        The x and y axis of each panel, for callers to complete.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        horizontal_spacing: float | None = None,
        vertical_spacing: float | None = None,
        shared_xaxes: bool = False,
    ) -> None:
        self._places, layout, self._grid = _subplots(
            rows,
            columns,
            horizontal_spacing=horizontal_spacing,
            vertical_spacing=vertical_spacing,
            shared_xaxes=shared_xaxes,
        )
        self._layout = deepcopy(layout)
        self.axes = [(self._layout[f"xaxis{place}"], self._layout[f"yaxis{place}"]) for place in self._places]

    def inside(self, panel: int, trace: Part) -> Part:
        """The trace, drawn in this panel."""
        place = self._places[panel]
        return trace | {"xaxis": f"x{place}", "yaxis": f"y{place}"}

    def noted(self, panel: int, note: Part) -> Part:
        """The annotation, in coordinates of this panel."""
        place = self._places[panel]
        return note | {"xref": f"x{place}", "yref": f"y{place}"}

    def title(self, panel: int, text: str, *, size: int = _TITLE_SIZE) -> Part:
        """The title of a panel, as an annotation above it."""
        x, y = (axis["domain"] for axis in self.axes[panel])
        return {
            "text": text, "font": {"size": size}, "showarrow": False, "x": sum(x) / 2, "xanchor": "center",
            "xref": "paper", "y": y[1], "yanchor": "bottom", "yref": "paper",
        }  # fmt: skip

    def assembled(self, traces: Sequence[Part], **layout: Any) -> go.Figure:
        """The figure; traces added later can give a row and a column."""
        return go.Figure({"data": list(traces), "layout": self._layout | layout, **self._grid})


def assembled(traces: Sequence[Part], **layout: Any) -> go.Figure:
    """A figure with one panel."""
    return go.Figure({"data": list(traces), "layout": layout})


@cache
def _subplots(rows: int, columns: int, **how: float | bool | None) -> tuple[list[str], Part, Part]:
    """Suffixes of the axis names of each panel, ``["", "2"]``; the axes; and Plotly's own record of the grid."""
    fig = make_subplots(rows=rows, cols=columns, **how)
    layout = {name: axis for name, axis in fig.to_dict()["layout"].items() if "axis" in name}
    places = [name.removeprefix("xaxis") for name in layout if name.startswith("xaxis")]
    return places, layout, {"_grid_ref": fig._grid_ref, "_grid_str": fig._grid_str}
