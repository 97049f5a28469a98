"""Colours, sizes and layout shared by all figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from deepvelo.config import Method
from deepvelo.contents.groups import PALETTE, UNASSIGNED, UNASSIGNED_COLOR, natural_order
from deepvelo.plan import MOST_OUTLINED
from deepvelo.wording import in_one_line

# Without the darkest tenth of viridis, which is invisible on a dark page.
SEQUENTIAL: Final = sample_colorscale("Viridis", np.linspace(0.12, 1, 12).tolist())
# For dark pages, if most values are low but must stay visible.
SEQUENTIAL_ON_DARK: Final = sample_colorscale("Viridis", np.linspace(0.3, 1, 12).tolist())
# The middle is grey, so that cells near 0 are visible on a white page.
DIVERGING: Final = ["#1F5FB4", "#5B8FCC", "#9FB4C9", "#B3B3B3", "#D3A98E", "#DD7A41", "#B8420B"]
# Colours of overlaid methods, at least 28 CIELAB units apart, also in colour-blind vision.
METHOD_COLORS: Final[dict[Method, str]] = {
    "deepvelo": "#0072B2",
    "steady_state": "#B62431",
    "stochastic": "#E69F00",
    "dynamical": "#009E73",
    "imported": "#CC79A7",
}
_PAGE: Final = {False: "#FFFFFF", True: "#12171D"}  # by dark, as in .streamlit/config.toml
_CONTRAST: Final = 3.0  # minimum for lines and points, WCAG 2.1
GREY: Final = "#A8A8A8"
GREY_OPACITY: Final = 0.35

FONT_SIZE: Final = 14
LABEL_SIZE: Final = 15
_LETTER_WIDTH, _ENTRY_WIDTH = 6.5, 118  # pixels, in a legend
HEIGHT: Final = 720  # pixels; fits a 900 pixel window together with title and controls

MOST_OF_A_NAME: Final = 60  # characters
MOST_OF_A_TITLE: Final = 120
# Characters that Plotly interprets as tags, entities, formulas or fields of hover templates.
_MARKUP: Final = re.compile(r"[&<$]|(?<=%)\{")

PictureFormat = Literal["svg", "png"]
_PNG_SCALE = 3  # about 300 dpi in print


def figure_config(*, file_name: str = "deepvelo", picture_format: PictureFormat = "svg") -> dict[str, Any]:
    """Return the Plotly configuration of all figures: the download format, and no uploads.

    Parameters
    ----------
    file_name
        Name of the saved image, without suffix.
    picture_format
        ``svg`` for sharp lines and text, ``png`` for slides, at three times the screen size.
    """
    scale = _PNG_SCALE if picture_format == "png" else 1
    return {
        "showSendToCloud": False,
        "plotlyServerURL": "",
        "displaylogo": False,
        "toImageButtonOptions": {"format": picture_format, "filename": file_name, "scale": scale},
    }


def plain(text: object, *, most: int = MOST_OF_A_NAME) -> str:
    """Escape a text for figures: ``<a href=...>``, ``<b>`` or ``$x$`` is shown literally, not interpreted.

    All texts from callers pass this function, except ``customdata`` that no hover text shows. Long names are
    shortened, see `deepvelo.wording.in_one_line`.
    """
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", in_one_line(text, most=most))


def plain_names(names: Iterable[object]) -> list[str]:
    """Escaped names made unique by a number, because Plotly identifies categories of an axis by their text."""
    shown, seen = [], Counter[str]()
    for name in map(plain, names):
        seen[name] += 1
        shown.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return shown


def lines(text: str) -> str:
    """Escape a title as `plain` does, keeping its line breaks."""
    return "<br>".join(plain(line, most=MOST_OF_A_TITLE) for line in text.split("\n"))


def ink(*, dark: bool) -> str:
    """Colour of lines, arrows and labels drawn over cells."""
    return "#F4F4F4" if dark else "#1A1A1A"


def faded_ink(*, dark: bool) -> str:
    """Colour of arrows with undecided direction."""
    return "rgba(244,244,244,0.5)" if dark else "rgba(26,26,26,0.4)"


def halo(*, dark: bool) -> str:
    """Colour of the halo that separates lines from the cells beneath."""
    return "rgba(20,20,20,0.75)" if dark else "rgba(255,255,255,0.8)"


def legible(color: str, *, dark: bool) -> str:
    """Mix a colour with white or black until its contrast with the page is at least 3 (WCAG 2.1).

    Parameters
    ----------
    color
        ``#rrggbb``.
    """
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    own, toward = np.array([red, green, blue]), 1.0 if dark else 0.0
    background = _luminance(np.array([int(_PAGE[dark][at : at + 2], 16) / 255 for at in (1, 3, 5)]))
    for share in np.linspace(0, 1, 21):
        mixed = own + share * (toward - own)
        low, high = sorted([_luminance(mixed), background])
        if (high + 0.05) / (low + 0.05) >= _CONTRAST:
            break
    if not share:
        return color
    return "#" + "".join(f"{round(255 * part):02x}" for part in mixed)


def _luminance(rgb: np.ndarray) -> float:
    """Relative luminance of sRGB components from 0 to 1, as defined by WCAG 2.1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def group_order(groups: Iterable[str]) -> list[str]:
    """Distinct group names in natural order: ``2`` before ``10``."""
    distinct = pd.unique(np.fromiter(groups, dtype=object))
    return natural_order({str(group) for group in distinct}, ignore_case=True)


def group_codes(groups: Sequence[str] | np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Encode groups as integers, which are compared much faster than names.

    Parameters
    ----------
    groups
        Group of each cell, shape ``(n_cells,)``.

    Returns
    -------
    The index of each cell's group among the names, and the names in the order of `group_order`.
    """
    codes, distinct = pd.factorize(np.asarray(groups, dtype=object), use_na_sentinel=False)
    names = group_order(distinct)
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[str(group)] for group in distinct], dtype=np.int32)[codes], names


def group_colors(groups: Iterable[str], stored: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the colour of each group.

    Parameters
    ----------
    groups
        Group names, in any order, repeated or not.
    stored
        Colours of the data set, which take precedence. Other groups get colours of the palette.

    Returns
    -------
    Colours in the order of `group_order`; cells without a group are grey. Beyond 24 groups the palette repeats.
    """
    own = {UNASSIGNED: UNASSIGNED_COLOR} | dict(stored or {})
    names = group_order(groups)
    return {name: own.get(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(names)}


def marker_size(n_cells: int) -> float:
    """Diameter of a cell's point in pixels."""
    return float(np.clip(np.sqrt(100_000 / max(n_cells, 1)), 2.5, 9))


def marker_outline(n_cells: int) -> dict[str, float | str]:
    """A thin outline that keeps pale colours visible; omitted for many small points."""
    return {"width": 0.5 if n_cells <= MOST_OUTLINED else 0, "color": "rgba(128,128,128,0.55)"}


def color_range(values: np.ndarray, *, diverging: bool) -> tuple[float, float]:
    """Limits of the colour scale, which clip extreme cells.

    Diverging scales are centred at 0; others start at 0 if no value is negative.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (-1.0, 1.0) if diverging else (0.0, 1.0)
    if diverging:
        reach = float(np.quantile(np.abs(finite), 0.99)) or float(np.abs(finite).max()) or 1.0
        return -reach, reach
    low = min(0.0, float(finite.min())) if finite.min() > -1e-12 else float(np.quantile(finite, 0.005))
    high = float(np.quantile(finite, 0.995))
    if high <= low:
        high = max(float(finite.max()), low + 1.0 if low == finite.max() else low)
    return low, high


def legend_width(names: Iterable[str]) -> int:
    """Pixels beside a map for a legend with these names, or for a colour bar."""
    longest = max(map(len, set(names)), default=0)
    return round(np.clip(60 + 1.15 * _LETTER_WIDTH * min(longest, MOST_OF_A_NAME), 120, 340))


def legend_below(names: Iterable[str], *, height: int) -> dict[str, Any]:
    """Properties of a legend below the axes of a figure of ``height`` pixels, with columns that fit its names."""
    longest = min(max(map(len, names), default=0), MOST_OF_A_NAME)
    return {
        "orientation": "h",
        "x": 0,
        "y": -80 / height,
        "entrywidth": max(_ENTRY_WIDTH, _LETTER_WIDTH * longest),
        "font": {"size": FONT_SIZE - 2},
    }


def style(fig: go.Figure, *, height: int = HEIGHT) -> go.Figure:
    """Apply the shared `layout` to a figure; changes ``fig`` and returns it."""
    fig.update_layout(layout(height=height))
    return fig


def layout(*, height: int = HEIGHT) -> dict[str, Any]:
    """Background, fonts, legend and margins of all figures, as a new dictionary."""
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": FONT_SIZE},
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "legend": {
            "itemsizing": "constant",
            "font": {"size": FONT_SIZE},
            "tracegroupgap": 0,
            "bgcolor": "rgba(0,0,0,0)",
            "y": 1,
            "yanchor": "top",
        },
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)"},
        "hoverlabel": {
            "font": {"size": FONT_SIZE},
            "namelength": -1,  # truncation would break entities
        },
    }
