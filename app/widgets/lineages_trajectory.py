"""Which group becomes which: over the embedding, as a tree, and as a table."""

from __future__ import annotations

from typing import TypedDict

import pandas as pd
import streamlit as st

from app.widgets import charts
from app.widgets.cells import drawn, run_in_words
from app.widgets.phase_charts import groups_and_colors
from app.widgets.velocity_chart import basis_label
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages
from deepvelo.pl.lineage_tree import lineage_tree
from deepvelo.pl.nodes import STAGE_COLORS
from deepvelo.pl.trajectory_map import trajectory_map

HEIGHT = 620
STAGES, FATES = "Stages of time", "Fates"


class _Nodes(TypedDict):
    """What map and tree have in common."""

    shares: pd.DataFrame
    part_colors: dict[str, str]
    shares_title: str
    colors: dict[str, str]
    root: str
    terminal: tuple[str, ...]
    dark: bool


def by_time_switch() -> bool:
    """Whether the pies of the groups show stages of time; otherwise fates."""
    shown = st.segmented_control(
        "Pies show",
        [STAGES, FATES],
        default=STAGES,
        required=True,
        key="lineages.pies",
        persist_state="session",
    )
    return shown == STAGES


def trajectory_view(run: Run, analysis: Lineages, *, by_time: bool) -> None:
    """Map and tree with the same nodes, then the arrows as a table."""
    from deepvelo.tl.group_shares import fate_shares, stage_shares

    groups, colors = groups_and_colors(run)
    time = analysis.cells["latent_time"].to_numpy()
    nodes = _Nodes(
        shares=stage_shares(groups, time) if by_time else fate_shares(groups, analysis.fates),
        part_colors=dict(STAGE_COLORS) if by_time else {name: colors[name] for name in analysis.lineages},
        shares_title="third of latent time" if by_time else "fate",
        colors=colors,
        root=analysis.root,
        terminal=analysis.last_groups,
        dark=charts.is_dark(),
    )
    basis = run.info.basis
    points = run.obsm[keys.embedding(basis)][:, :2]
    picture, table = st.columns([1.75, 1], gap="medium")
    with picture:
        figure = trajectory_map(
            points, groups, edges=analysis.edges, axis_name=basis_label(basis), drawn=drawn(run), height=HEIGHT,
            **nodes,
        )  # fmt: skip
        charts.show(figure, key="lineages.map", alt="Trajectory of the groups over the embedding")
    with table:
        _table(analysis)
    st.markdown("**From early to late**")
    times = pd.Series(time).groupby(pd.Index(groups, name="group")).mean()
    figure = lineage_tree(analysis.edges, times=times, **nodes)
    charts.show(figure, key="lineages.tree", alt="Trajectory of the groups from early to late")
    st.caption(
        "Arrows are as wide as their confidence, net arrows across the border of two groups; it is no probability, and "
        "neighbours that are forced on tiny groups give arrows too. Latent time orders cells along the arrows, 0 to 1 in "
        f"each separate part of the data; it is no clock. {run_in_words(run)}"
    )


def _table(analysis: Lineages) -> None:
    st.dataframe(
        analysis.edges,
        hide_index=True,
        height=HEIGHT - 60,
        column_config={
            "source": st.column_config.TextColumn("From", width=105),
            "target": st.column_config.TextColumn("To", width=105),
            "confidence": st.column_config.NumberColumn(
                "Confidence", width=75, format="%.2f", help="Net arrows across the border by the neighbours of the groups' cells."
            ),
            "agreement": st.column_config.NumberColumn(
                "Agreement", width=75, format="percent", help="Share of the arrows across the border that go this way."
            ),
        },
        alt="Arrows from group to group",
    )  # fmt: skip
