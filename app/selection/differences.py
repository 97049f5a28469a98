"""What is different in the selected cells: their groups and samples, their kinetics, their marker genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from app import session
from app.selection import linked, queries, state
from app.shared import charts
from app.shared.cells import drawn
from app.shared.gene_picker import gene_picker
from app.shared.grouping import groups_and_colors, shown_groups, shown_key, visible_groups
from app.shared.phase_charts import phase_of
from app.shared.signal import batch_key_of
from app.shared.tables import download, show_genes, show_table
from app.shared.text import box_labels
from app.shared.view import one_of
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.io.samples import SAMPLE
from deepvelo.pl.embedding import scatter
from deepvelo.pl.phase_portrait import phase_portrait
from deepvelo.selections import same_cells, store
from deepvelo.wording import number

HEIGHT: Final = 520
_OTHERS: Final = "All other cells"
_LEAST: Final = 30  # cells of a side, as `deepvelo.tl.differential_kinetics` asks
QUANTITIES: Final = {
    "gamma/beta": "γ/β",  # first: what a fit tells of both best
    "gamma": "γ, degradation",
    "beta": "β, splicing",
    "alpha": "α, transcription",
    "velocity": "velocity ds/dt",
    "spliced": "spliced",
    "unspliced": "unspliced",
}
_KINETICS, _MARKER_GENES = "Kinetics", "Marker genes"
_TABLE, _MARKERS = "differences.genes", "differences.markers"


@dataclass(frozen=True)
class Contrast:
    """Two sides of a comparison: masks, shape ``(n_cells,)``."""

    cells: np.ndarray
    against: np.ndarray

    def packed(self) -> tuple[bytes, bytes]:
        """Both sides in bytes, as caches take them."""
        return np.packbits(self.cells).tobytes(), np.packbits(self.against).tobytes()


def differences(run: Run) -> None:
    """The whole view; a sentence where no cells are selected."""
    groups, colors = groups_and_colors(run)
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        basis = run.info.basis
        points = run.obsm[keys.embedding(basis)][:, :2]
        figure = scatter(
            points, groups, colors=colors, axis_name=basis.upper(), drawn=drawn(run), dark=charts.is_dark(), height=HEIGHT - 80
        )  # fmt: skip
        figure.update_layout(showlegend=False)
        charts.show(
            figure, key="differences.map", alt="Selected cells on the embedding", view=basis,
            cells=linked.Cells(run, points, groups=groups),
        )  # fmt: skip
    with right:
        cells = state.selected(run)
        if cells is None:
            st.info(
                "Select cells to see what is different in them: draw around them on the map, or use Select above.",
                icon=":material/lasso_select:",
            )
            return
        if cells.all():
            st.info("All cells are selected, so none is left to compare them with. Select fewer.")
            return
        contrast = _contrast(run, cells)
        _composition(run, contrast)
    view: str | None = _MARKER_GENES
    if run.has_rates:
        view = st.segmented_control(
            "Compare", [_KINETICS, _MARKER_GENES], required=True, label_visibility="collapsed",
            **one_of("compare", [_KINETICS, _MARKER_GENES], key="differences.view"),
        )  # fmt: skip
    if view == _KINETICS:
        genes = _kinetics(run, contrast)
    else:
        genes = _marker_genes(run, contrast)
    _portrait(run, genes)


def _contrast(run: Run, cells: np.ndarray) -> Contrast:
    """The chosen reference: all other cells, the rest of a group, or a saved selection."""
    groups = shown_groups(run)
    names = list(groups.colors)
    sides = [np.bincount(groups.codes[side], minlength=len(names)) for side in (cells, ~cells)]
    inside = {f"Within {names[i]}": i for i in np.flatnonzero(np.minimum(*sides) >= _LEAST)}
    saved = {
        f"Saved: {item.name}": item
        for item in store.stored(run.folder).selections
        if item.name != state.name(run)
    }
    options = [_OTHERS, *inside, *saved]
    chosen = st.selectbox(
        "Compare with",
        options,
        format_func=box_labels(options).__getitem__,
        **one_of("against", options, key="differences.against"),
    )
    if chosen in inside:
        members = groups.codes == inside[chosen]
        return Contrast(cells & members, ~cells & members)
    if chosen in saved:
        _, stored = store.load(run.folder, saved[chosen].selection_id)
        return Contrast(cells, same_cells(stored, run.obs.index).cells & ~cells)
    return Contrast(cells, ~cells)


def _composition(run: Run, contrast: Contrast) -> None:
    """Groups and samples on both sides."""
    key = shown_key(run)
    groups, _ = groups_and_colors(run)
    obs = run.obs.assign(**{key: pd.Categorical(groups)})
    sample_key = _sample_key(run)
    columns = [key] if sample_key in (None, key) else [key, sample_key]
    table = queries.composition(obs, contrast.cells, contrast.against, columns)
    shown = pd.DataFrame(
        {
            "Group": table["group"]
            if len(columns) == 1
            else table["column"].astype(str) + ": " + table["group"].astype(str),
            "Cells": table["n_cells"],
            "Of the selection": 100 * table["share_of_selection"],
            "Of the others": 100 * table["share_of_reference"],
            "Of the group": 100 * table["share_of_group"],
            "log2 ratio": table["log2_enrichment"],
        }
    )
    percent = st.column_config.NumberColumn(format="%.1f%%")
    show_table(
        shown[shown["Cells"] > 0].sort_values("Cells", ascending=False), hide_index=True, height=min(HEIGHT - 200, 36 * (1 + int((shown["Cells"] > 0).sum())) + 2), alt="Groups of the selected cells",
        column_config=dict.fromkeys(("Of the selection", "Of the others", "Of the group"), percent)
        | {"log2 ratio": st.column_config.NumberColumn(format="%.2f")},
    )  # fmt: skip
    st.caption(
        f"{number(int(contrast.cells.sum()), 'selected cell')} and {int(contrast.against.sum()):,} to compare with."
    )


def _kinetics(run: Run, contrast: Contrast) -> list[str]:
    """Volcano and table of one quantity; a click on a gene opens its portrait. Returns the genes in order."""
    from deepvelo.pl.volcano import volcano

    table = queries.kinetics(run.info.run_id, *contrast.packed(), _sample_key(run))
    offered = [name for name in QUANTITIES if name in set(table["quantity"])]
    quantity = st.segmented_control(
        "Quantity", offered, format_func=QUANTITIES.__getitem__, required=True, label_visibility="collapsed",
        **one_of("quantity", offered, key="differences.quantity"),
    )  # fmt: skip
    found = table[table["quantity"] == quantity].reset_index(drop=True)
    left, right = st.columns([1.1, 1], gap="medium")
    signed = quantity == "velocity"
    title = "difference of medians, robust s.d." if signed else "log<sub>2</sub> ratio of medians"
    with left:
        figure = volcano(found, axis_title=title, marked=[session.gene() or ""], height=HEIGHT)
        charts.show(
            figure, key="differences.volcano", alt=f"Effect and p of every gene, {quantity}", view=quantity,
            on_pick=lambda gene: _pick(run, gene),
        )  # fmt: skip
    with right:
        shown = found[["gene", "effect", "ci_low", "ci_high", "q", "median", "median_reference"]].rename(
            columns={
                "gene": "Gene", "effect": "Difference" if signed else "log2 ratio", "ci_low": "Low", "ci_high": "High",
                "median": "Selected", "median_reference": "Others",
            }
        )  # fmt: skip
        _gene_table(shown, key=_TABLE, height=HEIGHT - 70)
        _download_button(table, run)
    units, n_units = table.attrs["units"], table.attrs["n_units"]
    general = " and compares each gene with genes in general" if table.attrs["background"][quantity] else ""
    st.caption(
        f"{'Difference of medians in robust standard deviations' if signed else 'log2 ratio of the medians'}, selected over others, with its 95% "
        f"interval. Cells are not independent, so the test takes {n_units} {units} as units{general}; "
        "q controls the false discoveries. Rates are relative: time has no unit."
    )
    return [str(gene) for gene in found["gene"]]


def _marker_genes(run: Run, contrast: Contrast) -> list[str]:
    table = queries.markers(run.info.run_id, *contrast.packed())
    shown = table.rename(
        columns={
            "gene": "Gene", "score": "Score", "log2_fold_change": "log2 ratio", "share_expressing": "Expressing",
            "share_expressing_reference": "Others",
        }
    )[["Gene", "Score", "log2 ratio", "q", "p", "Expressing", "Others"]]  # fmt: skip
    shown[["Expressing", "Others"]] *= 100
    _gene_table(shown.drop(columns=["p"]), key=_MARKERS, height=HEIGHT - 120)
    st.caption(
        "Wilcoxon rank-sum test on log-normalised spliced counts (scanpy). It takes cells for independent, which they are not: "
        "use it to rank."
    )
    return [str(gene) for gene in table["gene"]]


def _gene_table(table: pd.DataFrame, *, key: str, height: int) -> None:
    """Genes; a click on a row opens its portrait."""
    two, small = st.column_config.NumberColumn(format="%.2f"), st.column_config.NumberColumn(format="%.2g")
    percent = st.column_config.NumberColumn(format="%.0f%%")
    formats = dict.fromkeys(("log2 ratio", "Difference", "Low", "High", "Score"), two) | {
        "q": small,
        "Selected": small,
    }
    formats |= {"Expressing": percent, "Others": percent if "Expressing" in table else small}
    show_genes(
        table, key=key, height=height, alt="Genes by their difference",
        column_config={name: formats[name] for name in table if name in formats},
    )  # fmt: skip


def _pick(run: Run, picked: object) -> None:
    """Choose the clicked gene; foreign values choose none."""
    gene = picked[-1] if isinstance(picked, list) and picked else None
    if isinstance(gene, str) and gene in run.var.index:
        session.set_gene(gene)


def _portrait(run: Run, genes: Sequence[str]) -> None:
    """Phase portrait of the chosen gene, by default the first, with the selection in it."""
    box, picture = st.columns([1, 3], gap="medium")
    with box:
        gene = gene_picker(run, ranked=genes)
    groups, colors = groups_and_colors(run)
    phase = phase_of(run, gene)
    figure = phase_portrait(
        phase, groups, colors=colors, shown=visible_groups(run), cells=state.shown(run), drawn=drawn(run), dark=charts.is_dark(), height=HEIGHT
    )  # fmt: skip
    with picture:
        charts.show(
            figure,
            key="differences.portrait",
            alt=f"Unspliced against spliced {gene}",
            cells=linked.in_phase(run, [phase]),
        )


def _download_button(table: pd.DataFrame, run: Run) -> None:
    download(
        "All quantities as CSV", table.to_csv(index=False), name=f"{run.info.name} differential kinetics.csv"
    )


def _sample_key(run: Run) -> str | None:
    """Column with the sample of each cell: the batch column chosen on Compare, else that of samples read together."""
    chosen = session.widget_value(batch_key_of(run)) or SAMPLE
    return chosen if chosen in run.obs and run.obs[chosen].nunique() > 1 else None
