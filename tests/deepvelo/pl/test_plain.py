"""Names from files are text in every figure: no link, no letters, no formula, no field of a hover text."""

import html
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from anndata import AnnData

import deepvelo.pl
from deepvelo import keys, pl
from deepvelo.pl import theme
from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.assembly import assembled
from deepvelo.pl.driver_heatmap import driver_heatmap
from deepvelo.pl.embedding import panels, scatter
from deepvelo.pl.enrichment_bars import enrichment_bars
from deepvelo.pl.fate_map import fate_map, fate_maps
from deepvelo.pl.lineage_tree import lineage_tree
from deepvelo.pl.phase_portrait import Phase, phase_grid, phase_portrait
from deepvelo.pl.proportions import proportions
from deepvelo.pl.rates import rate_violins
from deepvelo.pl.score_histograms import score_histogram
from deepvelo.pl.sensitivity_map import sensitivity_map
from deepvelo.pl.side_by_side import Panel, side_by_side
from deepvelo.pl.space import scatter_3d
from deepvelo.pl.split import split
from deepvelo.pl.training_curve import training_curve as curve_of_history
from deepvelo.pl.trajectory_map import trajectory_map
from deepvelo.pl.trends import trend_grid
from deepvelo.pl.volcano import volcano

EVIL = (
    "<a href='http://evil.test'>x</a>",
    "<i>y</i> &lt;i>",
    "$z$ %{z} %{meta:d}",
    "<br><img src=http://evil.test>",
)
GROUPS = np.repeat(np.array(EVIL, dtype=object), 5)
N = len(GROUPS)
RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(N, 2)) + np.repeat(np.eye(4)[:, :2] * 9, 5, axis=0)
VALUES = RNG.uniform(size=N)
COLORS = theme.group_colors(GROUPS)
PHASE = Phase(gene=EVIL[0], spliced=VALUES, unspliced=VALUES, velocity=VALUES, velocity_u=None)
EDGES = pd.DataFrame(
    {"source": EVIL[:-1], "target": EVIL[1:], "confidence": 0.5, "source_cells": 5, "target_cells": 5}
)
TREE = {
    "edges": EDGES, "shares": pd.DataFrame(1 / 3, index=EVIL, columns=EVIL[:3]), "part_colors": COLORS,
    "shares_title": EVIL[1], "root": EVIL[0], "ends": EVIL[1:],
}  # fmt: skip
TIMES = np.linspace(0, 1, 4)
CURVE = pd.DataFrame({"time": TIMES, "mean": TIMES, "low": TIMES, "high": TIMES})
SETS = pd.DataFrame(
    {"term": EVIL, "overlap": 2, "size": 9, "q": [0.1, 1e-9, 0, 0.2], "genes": [";".join(EVIL)] * 4}
)
CELLS = AnnData(
    obs=pd.DataFrame({"clusters": GROUPS, EVIL[0]: VALUES}, index=[f"cell {i}" for i in range(N)]),
    var=pd.DataFrame(index=EVIL),
    obsm={"X_" + EVIL[1]: POINTS, keys.X_UMAP: POINTS, keys.velocity_embedding("umap"): POINTS},
    layers={key: np.tile(VALUES[:, None], 4) for key in (keys.MS, keys.MU, keys.VELOCITY, keys.BETA)},
)
FIGURES: dict[Callable, Callable[[], go.Figure | list[go.Figure]]] = {
    agreement_map: lambda: agreement_map(POINTS, VALUES, GROUPS, axis_name=EVIL[0]),
    driver_heatmap: lambda: driver_heatmap(pd.DataFrame(RNG.uniform(size=(4, 4)), index=EVIL, columns=TIMES), time_title=EVIL[1]),
    scatter: lambda: scatter(POINTS, GROUPS, axis_name=EVIL[0]),
    panels: lambda: panels(POINTS, dict.fromkeys(EVIL, VALUES)),
    enrichment_bars: lambda: enrichment_bars(SETS, relevant=[True, False, True, False]),
    fate_map: lambda: fate_map(POINTS, VALUES, GROUPS, lineage=EVIL[0], axis_name=EVIL[1]),
    fate_maps: lambda: fate_maps(POINTS, pd.DataFrame(dict.fromkeys(EVIL, VALUES))),
    lineage_tree: lambda: lineage_tree(**TREE, times=pd.Series(TIMES, index=EVIL)),
    phase_portrait: lambda: phase_portrait(PHASE, GROUPS, colors=COLORS, shown=EVIL[:2]),
    phase_grid: lambda: phase_grid([PHASE, PHASE], GROUPS, colors=COLORS),
    proportions: lambda: proportions(pd.DataFrame({"spliced": 0.7, "unspliced": 0.3, "n_cells": 5}, index=EVIL)),
    rate_violins: lambda: rate_violins({"beta": VALUES}, GROUPS, colors=COLORS),
    score_histogram: lambda: score_histogram(dict.fromkeys(EVIL, VALUES), dict.fromkeys(EVIL, 0.5), colors=COLORS, title=EVIL[0]),
    sensitivity_map: lambda: sensitivity_map(pd.DataFrame(0.5, index=EVIL, columns=EVIL), titles={EVIL[0]: EVIL[0]}),
    scatter_3d: lambda: scatter_3d(np.column_stack([POINTS, VALUES]), GROUPS, values=VALUES, value_title=EVIL[0], axis_names=EVIL[1:]),
    split: lambda: split(POINTS, {name: GROUPS == name for name in EVIL}, GROUPS, axis_names=EVIL[:2]),
    side_by_side: lambda: side_by_side([Panel(title=name, phase=PHASE) for name in EVIL], GROUPS, colors=COLORS),
    trajectory_map: lambda: trajectory_map(POINTS, GROUPS, **TREE, axis_name=EVIL[0]),
    pl.embedding: lambda: pl.embedding(CELLS, color=EVIL[0], basis=EVIL[1]),
    pl.stream: lambda: pl.stream(CELLS, basis="umap"),
    pl.phase_portrait: lambda: pl.phase_portrait(CELLS, EVIL),
    pl.rates: lambda: pl.rates(CELLS, EVIL[0]),
    trend_grid: lambda: trend_grid({name: {"expression": CURVE} for name in EVIL}, color="#112233", time_title=EVIL[1]),
    volcano: lambda: volcano(pd.DataFrame({"gene": EVIL, "effect": [2.0, -1.0, 0.1, 1.0], "p": 1e-9, "q": 1e-8}), marked=EVIL),
}  # fmt: skip
OWN = re.compile(
    r"<br>|</?b>|<extra>|</extra>|</?sub>|<span style='font-size:\d+px;font-weight:400'>|</span>|< 1e-\d+"
)
FIELDS = re.compile(r"%\{(?:x|y|text|hovertext|customdata(?:\[\d\])?|marker\.color)(?::[^}]*)?\}")


@pytest.mark.parametrize("draw", FIGURES.values(), ids=[function.__name__ for function in FIGURES])
def test_no_name_becomes_markup(draw):
    drawn = draw()
    for fig in drawn if isinstance(drawn, list) else [drawn]:
        texts = list(shown(fig))
        assert [text for text in texts if "<" in OWN.sub("", text) or "$" in text] == []
        templates = {
            text
            for trace in fig.data
            for text in (trace.hovertemplate, trace.to_plotly_json().get("texttemplate"))
            if text
        }
        assert [text for text in {*texts} - templates if "%{" in text] == []
        assert [text for text in templates if "%{" in FIELDS.sub("", text)] == []
        read = html.unescape(" ".join(texts)).replace("<br>", " ")
        assert [name for name in EVIL if name.replace("<br>", " ") in read]


def test_every_figure_is_here():
    """Whoever writes a new one adds it above."""
    drawing = set()
    for module in pkgutil.iter_modules(deepvelo.pl.__path__):
        for name, function in vars(importlib.import_module(f"deepvelo.pl.{module.name}")).items():
            if inspect.isfunction(function) and function.__module__.startswith("deepvelo.pl"):
                signature = inspect.signature(function)
                if "Figure" in str(signature.return_annotation) and "fig" not in signature.parameters:
                    drawing |= {function} if not name.startswith("_") else set()
    # of this program's own terms alone; of what the others give it
    drawing -= {curve_of_history, pl.training_curve, assembled}
    assert drawing == set(FIGURES)


def shown(fig: go.Figure):
    """All text of a figure that Plotly draws; of customdata what a hover shows, all or some columns."""
    for trace in fig.data:
        parts = trace.to_plotly_json()
        data, template = parts.pop("customdata", None), trace.hovertemplate or ""
        yield from strings(parts)
        if columns := [int(column) for column in re.findall(r"customdata\[(\d)\]", template)]:
            yield from strings(np.asarray(data, dtype=object)[:, columns] if data is not None else ())
        elif "customdata" in template:
            yield from strings(data)
    yield from strings(fig.layout.to_plotly_json())


def strings(part):
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from strings(value)
    elif isinstance(part, (list, tuple)) or (isinstance(part, np.ndarray) and part.dtype.kind in "OU"):
        for value in part:
            yield from strings(value)


def test_names_are_shown_as_they_are_and_in_one_line():
    assert theme.plain("<b>&amp;</b>") == "&#60;b>&#38;amp;&#60;/b>"
    assert html.unescape(theme.plain("a < b & $c$ %{d}")) == "a < b & $c$ %{d}"
    assert theme.plain("HLA-DRB1*01 > CD4+ {T}, 5%") == "HLA-DRB1*01 > CD4+ {T}, 5%"
    assert theme.plain("a\nb\u202ec\ud800") == "a b\ufffdc\ufffd"
    assert theme.lines("one\ntwo <i>") == "one<br>two &#60;i>"


def test_long_names_are_shortened_and_places_of_an_axis_stay_apart():
    long = [f"A{'x' * 200}{end}{'y' * 200}Z" for end in "12"]
    assert len(theme.plain(long[0])) == theme.MOST_OF_A_NAME
    first, second = theme.plain_names(long)
    assert first.startswith("Axx")
    assert first.endswith("yyZ")
    assert second == f"{first} (2)"
