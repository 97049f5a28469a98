"""Summary of the data: numbers, findings with their remedies, and two figures."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.shared import cached, charts
from app.shared.cells import drawn_in_words, group_names
from app.shared.tables import show_table
from app.shared.text import escape, with_labels
from deepvelo import keys
from deepvelo.checks import Summary
from deepvelo.contents.count_kinds import KIND_NAMES
from deepvelo.contents.groups import group_colors
from deepvelo.datasets.source import DataSource
from deepvelo.pl import theme
from deepvelo.pl.embedding import scatter
from deepvelo.pl.proportions import proportions

CHART_HEIGHT = 460


def numbers(summary: Summary) -> None:
    """Size, unspliced share, kind of counts, and moments."""
    unspliced = "none" if summary.unspliced_fraction is None else f"{summary.unspliced_fraction:.0%}"
    row = st.container(horizontal=True)
    row.metric("Cells", f"{summary.n_cells:,}")
    row.metric("Genes", f"{summary.n_genes:,}")
    row.metric("Unspliced", unspliced, help="Share of unspliced counts; 10 to 25% is usual for 10x data.")
    row.metric("Values", "unknown" if summary.count_kind is None else KIND_NAMES[summary.count_kind])
    row.metric("Moments", "in the file" if summary.has_moments else "to compute")


def contents(summary: Summary) -> None:
    """Names of layers, groupings and embeddings."""
    lines = {
        "Layers": ", ".join(f"{escape(name)} ({kind})" for name, kind in summary.layers.items()) or "none",
        "Groupings": ", ".join(map(escape, summary.groupings)) or "none; Leiden clusters are computed",
        "Embeddings": ", ".join(map(escape, summary.embeddings)) or "none; a UMAP is computed",
        "Neighbours": with_labels(summary.comparison_space),
    }
    st.markdown("\n".join(f"- {what}: {found}" for what, found in lines.items()))


def findings(summary: Summary) -> None:
    """Findings with their remedies, errors first, one box per level."""
    drawn = {"error": st.error, "warning": st.warning, "ok": st.success, "note": st.info}
    for level, draw in drawn.items():
        found = [f"{f.what} {f.remedy}".strip() for f in summary.findings if f.level == level]
        lines = [with_labels(line) for line in found]
        if lines:
            draw("\n".join(f"- {line}" for line in lines) if len(lines) > 1 else lines[0])


def join_report(source: DataSource) -> None:
    """Number of matched cells of a joined data set, and five examples."""
    report = cached.join_report(source)
    if report is None:
        return
    rates = ", ".join(f"{escape(name)} {rate:.0%}" for name, rate in report.by_sample.items())
    st.success(
        f"{report.n_matched:,} of {report.n_processed:,} cells ({report.rate:.0%}) match one of "
        f"{report.n_counts:,} barcodes with counts; both files share {report.genes_shared:,} genes."
        + (f" By sample: {rates}." if rates else "")
    )
    with st.expander(f"{len(report.pairs)} matched cells"):
        pairs = {"Processed file": [a for a, _ in report.pairs], "Counts": [b for _, b in report.pairs]}
        show_table(pd.DataFrame(pairs), hide_index=True)


def proportions_chart(source: DataSource, group: str | None) -> None:
    """Spliced and unspliced share per group."""
    st.markdown("**Spliced and unspliced counts**")
    fractions = cached.fractions(source, group)
    if fractions.empty:
        missing = _missing_layers(cached.summary(source))
        why = f"There is no {missing} layer" if missing else "The layers are not raw counts"
        st.caption(f"{why}, so the shares are not known.")
        return
    charts.show(proportions(fractions), key="data.proportions", alt="Spliced and unspliced share per group")
    st.caption("Doubt the counts if the share is the same in every group, or far from 10 to 25%.")


def _missing_layers(summary: Summary) -> str:
    """The missing ones of the layers spliced and unspliced, in words."""
    return " and no ".join(name for name in (keys.SPLICED, keys.UNSPLICED) if name not in summary.layers)


def embedding_chart(source: DataSource, group: str | None) -> None:
    """The embedding in the file."""
    st.markdown("**Cells**")
    embeddings = cached.display_embeddings(source)
    if not embeddings:
        st.caption("The file has no embedding; a UMAP is computed before training.")
        return
    basis = embeddings[0]
    adata = cached.dataset(source)
    points = adata.obsm[keys.embedding(basis)][:, :2]
    groups = None if group is None else group_names(adata.obs[group])
    colors = None if groups is None else theme.group_colors(groups, group_colors(adata, str(group)))
    drawn = cached.drawn_cells_of_data(source, basis, group)
    figure = scatter(
        points, groups, colors=colors, axis_name=basis.upper(), drawn=drawn, dark=charts.is_dark(),
        height=CHART_HEIGHT,
    )  # fmt: skip
    charts.show(figure, key="data.embedding", alt=f"Cells on {basis}, coloured by {group or 'nothing'}")
    if drawn is not None:
        st.caption(drawn_in_words(len(drawn), len(points)))
