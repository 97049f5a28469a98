"""Scores of the compared methods: boundaries, table, histograms, tests, and the report as files."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app import session
from app.compare.table import COLUMNS, better_in_words, marked, meaning
from app.selection import state
from app.selection.bar import selection_bar
from app.shared import charts, comparison
from app.shared.boundaries import boundary_key
from app.shared.comparison import RunIds
from app.shared.empty import error_in_words, stop_on_error
from app.shared.shown_run import run_fragment
from app.shared.signal import quality_line
from app.shared.tables import download, show_table
from app.shared.text import box_labels, one_line, with_labels
from app.shared.view import any_of, one_of
from deepvelo.io.runs import Run
from deepvelo.pl.score_histograms import score_histogram
from deepvelo.wording import decimal, number

if TYPE_CHECKING:
    from deepvelo.evaluation.compare import Comparison, Edge

HEIGHT = 330
MOST_BOUNDARIES = 50  # in a link
# Scores of single cells, for histograms and tests.
TITLES = {
    "consistency": "Consistency",
    "consistency_celltype": "Within cell type",
    "coherence": "Coherence",
    "boundary_embedding": "CBDir (embedding)",
    "boundary_genes": "CBDir (genes)",
}
_AXES = {
    "consistency": "cosine with the cell's graph neighbours",
    "consistency_celltype": "cosine with all other cells of its group",
}


@run_fragment
def scores_view(base: Run, run_ids: RunIds, smooth: int | None) -> None:
    """All scores; a change of boundaries or of the tested score redraws only this part."""
    selection_bar(base)
    with stop_on_error():
        groups = [str(group) for group in comparison.matched(run_ids, smooth).groups.cat.categories]
        edges = _edges(base, groups)
        found = comparison.compared(run_ids, smooth, edges)
    colors = comparison.colors(run_ids)
    quality_line(base)
    _table(found)
    _in_selection(base, found)
    for box, score in zip(st.columns(2, gap="medium"), ("consistency", "consistency_celltype"), strict=True):
        with box:
            _histogram(found, score, colors)
    _boundaries(found)
    _tests(found)
    _downloads(found, run_ids)


def _edges(base: Run, groups: list[str]) -> list[Edge]:
    """Boundaries to score, picked from two boxes or typed; an invalid one shows an error and is left out."""
    from deepvelo.evaluation.compare import default_edges, parse_edges

    key = boundary_key(base)
    pairs = {f"{a} > {b}": (a, b) for a, b in itertools.permutations(groups, 2)}
    known = [f"{a} > {b}" for a, b in default_edges(groups)]
    labels = box_labels(groups)
    chips = st.container()
    source, target, add = st.columns([2, 2, 1], vertical_alignment="bottom")
    start = source.selectbox(
        "From",
        groups,
        format_func=labels.__getitem__,
        index=None,
        placeholder="Source group",
        key=f"{key}.from",
        persist_state="session",
    )
    end = target.selectbox(
        "To",
        groups,
        format_func=labels.__getitem__,
        index=None,
        placeholder="Target group",
        key=f"{key}.to",
        persist_state="session",
    )
    picked = f"{start} > {end}"
    add.button("Add", on_click=_add_edge, args=(key, picked), disabled=picked not in pairs, width="stretch")
    kept = any_of("boundaries", key=key, default=known, most=MOST_BOUNDARIES)
    chosen = chips.multiselect(
        "Boundaries to score (first group > second group)",
        list(dict.fromkeys([*known, *session.widget_value(key)])),
        format_func=one_line,
        accept_new_options=True,
        placeholder="Pick two groups below, or type: first group > second group",
        **kept,
        help="Known transitions: cells of the first group become cells of the second. Choose them from biology, not from the arrows; CBDir is as reliable as the transitions are.",
    )
    edges: list[Edge] = []
    for text in chosen:
        with error_in_words():
            edges += [pairs[text]] if text in pairs else parse_edges([text], groups=groups)
    return list(dict.fromkeys(edges))


def _add_edge(key: str, edge: str) -> None:
    session.fill({key: list(dict.fromkeys([*session.widget_value(key), edge]))})


def _table(found: Comparison) -> None:
    """Scores of every method, with the best of each marked, and warnings."""
    from deepvelo.evaluation.compare import SMOOTHNESS

    columns = {column: shown for column, shown in COLUMNS.items() if column in found.table}
    table = found.table[list(columns)]
    unranked = [] if found.equally_smooth else [f"{score}_median" for score in SMOOTHNESS]
    _show(table, unranked=unranked, alt="Scores of the methods")
    st.markdown(better_in_words(table, unranked=unranked))
    if found.warnings:
        st.warning("  \n".join(map(with_labels, found.warnings)), icon=":material/warning:")
    with st.expander("What the scores mean"):
        st.markdown("\n".join(f"- **{shown.title}**: {meaning(column)}" for column, shown in columns.items()))


def _in_selection(base: Run, found: Comparison) -> None:
    """Smoothness and agreement in the selected cells alone."""
    from deepvelo.evaluation.compare import SMOOTHNESS

    chosen = state.selected(base)
    if chosen is None:
        return
    cells = found.agreement.index.isin(base.obs.index[chosen])
    if not cells.any():
        st.caption("The methods share none of the selected cells.")
        return
    medians = {
        name: {f"{score}_median": scores.loc[cells, score].median() for score in SMOOTHNESS}
        for name, scores in found.cells.items()
    }
    st.markdown(f"**In the {number(int(cells.sum()), 'selected cell')}** that all methods share")
    unranked = [] if found.equally_smooth else [f"{score}_median" for score in SMOOTHNESS]
    _show(
        pd.DataFrame.from_dict(medians, orient="index").rename_axis("method"), unranked=unranked,
        alt="Scores of the methods in the selected cells",
    )  # fmt: skip
    agreement = found.agreement[cells].mean()
    if np.isfinite(agreement):
        st.caption(
            f"Mean agreement of the methods there: {decimal(agreement)}, in all cells {decimal(found.agreement.mean())}. "
            "CBDir is a score of whole boundaries, so it is left out."
        )


def _show(table: pd.DataFrame, *, unranked: Collection[str], alt: str) -> None:
    show_table(
        marked(table, unranked=unranked),
        column_config={
            "method": st.column_config.TextColumn("Method", width=135),
            **{
                column: st.column_config.TextColumn(
                    COLUMNS[column].title,
                    help=meaning(column),
                    width=max(70, 12 + 6 * len(COLUMNS[column].title)),
                    alignment="right",
                )
                for column in table
            },
        },
        alt=alt,
    )


def _histogram(found: Comparison, score: str, colors: dict[str, str]) -> None:
    from deepvelo.evaluation.compare import SCORES

    st.markdown(
        f"**{TITLES[score]}** of the cells", help=f"{SCORES[score]}. A dashed line marks each median."
    )
    figure = score_histogram(
        {name: cells[score].to_numpy() for name, cells in found.cells.items()},
        found.table[f"{score}_median"].to_dict(),
        colors=colors,
        title=_AXES[score],
        height=HEIGHT,
    )
    charts.show(figure, key=f"compare.histogram.{score}", alt=f"Histograms of {TITLES[score]} by method")


def _tests(found: Comparison) -> None:
    """For each pair of methods, how often a cell of one scores higher than a cell of the other."""
    from deepvelo.evaluation.compare import EFFECT_NOTE, SMOOTHNESS

    st.markdown("**Size of the differences**: Mann-Whitney U test of each pair of methods over cells")
    ranked = set(found.tests["score"]) - (set() if found.equally_smooth else set(SMOOTHNESS))
    tested = [score for score in TITLES if score in ranked]
    if not found.equally_smooth:
        st.caption(
            "Tests of consistency and coherence need equal smoothing: choose None, Once or Twice above."
        )
    if not tested:
        st.caption("No test: it needs two methods with scores.")
        return
    chosen = st.segmented_control(
        "Tested score", tested, format_func=TITLES.__getitem__, required=True, label_visibility="collapsed",
        **one_of("tested", tested, key=f"compare.tested.{len(tested)}"),
    )  # fmt: skip
    score = str(chosen)
    table, note = st.columns([2, 1], gap="medium")
    tests = found.tests[found.tests["score"] == score]
    with table:
        show_table(
            pd.DataFrame([_test_in_words(row) for row in tests.to_dict("records")]),
            hide_index=True,
            column_config={
                "How often": st.column_config.TextColumn(width="large"),
                "Medians": st.column_config.TextColumn(width=110, alignment="right"),
                "p": st.column_config.TextColumn(width="small", alignment="right"),
            },
            alt=f"Tests of {TITLES[score]}",
        )
    note.caption(
        f"{EFFECT_NOTE} p ignores that cells of one tissue are not independent. The test pools the cells of all boundaries; "
        "the table above weighs each boundary equally."
    )


def _test_in_words(test: dict[str, float | str]) -> dict[str, str]:
    """A row of the table of tests, the higher score first."""
    a, b, effect = test["a"], test["b"], float(test["effect"])
    medians = [float(test["median_a"]), float(test["median_b"])]
    if effect < 0.5:
        a, b, effect, medians = b, a, 1 - effect, medians[::-1]
    how_often = "more than 99%" if 0.995 <= effect < 1 else f"{effect:.0%}"
    return {
        "How often": f"{a} scores higher than {b} in {how_often} of random pairs",
        "Medians": f"{decimal(medians[0], 3)} / {decimal(medians[1], 3)}",
        "p": str(test["p_text"]),
    }


def _boundaries(found: Comparison) -> None:
    """CBDir of each boundary, one column per method."""
    st.markdown(
        "**CBDir of each boundary**", help=f"{meaning('boundary_embedding')} {meaning('boundary_genes')}"
    )
    if not found.edges:
        st.caption("No boundary chosen: add one above.")
        return
    spaces = {"boundary_embedding": "embedding", "boundary_genes": "genes"}
    columns = [column for column in found.table if column.partition(":")[0] in spaces and ":" in column]
    table = marked(found.table[columns]).T
    table.index = pd.Index(
        [f"{column.partition(': ')[2]}, {spaces[column.partition(':')[0]]}" for column in columns],
        name="Boundary",
    )
    show_table(
        table,
        column_config={
            "Boundary": st.column_config.TextColumn(width=330),
            **{name: st.column_config.TextColumn(alignment="right") for name in table},
        },
        alt="Cross-boundary direction correctness by boundary and method",
    )
    st.caption(
        "Cross-boundary direction correctness. 1: arrows of the first group point at their neighbours in the second; 0: neither "
        "towards nor away; −1: away. –: no score, for example for a group of one cell."
    )


def _downloads(found: Comparison, run_ids: RunIds) -> None:
    from deepvelo.evaluation.compare import to_csv, to_json

    runs = {
        name: {"run": info.run_id, "data": info.data_name, "fit": info.name, "created": info.created}
        for name, info in zip(comparison.names(run_ids), comparison.infos(run_ids), strict=True)
    }
    name = "comparison_as_fitted" if found.smooth is None else f"comparison_averaged_{found.smooth}"
    with st.container(horizontal=True):
        download("Comparison as JSON", to_json(found, runs=runs), name=f"{name}.json")
        download("Table as CSV", to_csv(found), name=f"{name}.csv")
