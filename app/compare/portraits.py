"""One gene in several methods: phase portraits side by side, and the groups that each method's arrows point at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app.compare import queries
from app.selection import linked
from app.shared import cached, charts, comparison
from app.shared.cells import drawn, drawn_in_words
from app.shared.comparison import RunIds
from app.shared.gene_picker import gene_picker
from app.shared.grouping import groups_and_colors, own_groups_and_colors, own_in_words, visible_groups
from app.shared.phase_charts import phase_of
from app.shared.tables import show_table
from app.shared.text import box_labels, escape
from app.shared.undecided import undecided_cells
from app.shared.velocity_chart import basis_label
from app.shared.view import some_of
from deepvelo.io.runs import Run
from deepvelo.pl.phase_portrait import Phase
from deepvelo.pl.side_by_side import Panel, side_by_side
from deepvelo.undecided import share_in_words
from deepvelo.wording import decimal, number

# What the paper shows for Tmsb10 in the dentate gyrus (Cui et al., Fig. 3b, 3c).
_LINEAGE = ("Neuroblast", "Granule immature", "Granule mature")
_BESIDE = "Endothelial"
FEW = "few cells"


def portraits_view(base: Run, run_ids: RunIds, *, ranked: Sequence[str] = ()) -> None:
    """Choice of gene and cell types, one panel per method, and a table of the groups that arrows point at.

    Raises
    ------
    InputError
        A run was deleted or cannot be read, or they share too little to be compared.
    """
    names, colors = groups_and_colors(base)
    gene_box, types_box, zoom_box = st.columns([1, 2.4, 1.6])
    with gene_box:
        gene = gene_picker(base, ranked=ranked)
    labels = box_labels(colors)
    shown = types_box.multiselect(
        "Cell types", list(colors), format_func=labels.__getitem__, placeholder="All cell types",
        **some_of("types", list(colors), key="compare.types", default=preset_groups(list(colors))), help="Cell types in colour and with arrows; others turn grey. Choose a few to reduce overlap.",
    )  # fmt: skip
    offered = shown or list(colors)
    window = zoom_box.multiselect(
        "Zoom on", offered, format_func=labels.__getitem__, placeholder="No zoom",
        **some_of("zoom", offered, key="compare.window"), help="Adds a second row of panels that shows only these cell types.",
    )  # fmt: skip
    matched = comparison.matched(run_ids, None)
    cells = matched.reference.obs_names
    rows_of_base = base.obs.index.get_indexer(cells)
    groups, of_base = names[rows_of_base], drawn(base)
    shared = None if of_base is None else np.flatnonzero(np.isin(rows_of_base, of_base))
    runs = dict(zip(comparison.names(run_ids), map(cached.open_run, run_ids), strict=True))
    panels = [_panel(name, run, gene, cells=cells, base=base) for name, run in runs.items()]
    rows = [("", shown or visible_groups(base)), *([("zoom", window)] if window else [])]
    for part, in_color in rows:
        if part:
            st.caption(f"Zoom on {', '.join(map(escape, window))}")
        figures = side_by_side(
            panels, groups, colors=colors, shown=in_color, drawn=shared, dark=charts.is_dark()
        )
        in_row = -(-len(panels) // len(figures))
        for i, figure in enumerate(figures):
            where = f" among {', '.join(in_color)}" if in_color else ""
            charts.show(
                figure, key=f"compare.portraits.{part}{i}", alt=f"{gene} by method{where}",
                cells=linked.in_phase(base, [panel.phase for panel in panels[i * in_row : (i + 1) * in_row]], rows=rows_of_base),
            )  # fmt: skip
    n_drawn = len(cells) if shared is None else len(shared)
    st.caption(f"{_in_words(panels, runs, gene)} {drawn_in_words(n_drawn, len(cells))}")
    if matched.basis is None:
        return
    st.markdown(
        f"**Cell type that the arrows of each cell type point at, on {escape(basis_label(matched.basis))}, all genes together**"
    )
    own = own_groups_and_colors(base)[1]  # the arrows were followed to these groups
    sources = tuple([name for name in shown if name in own] or own)
    table = target_table(queries.targets(run_ids, sources=sources), sources=sources)
    show_table(table, alt="Group towards which each group's arrows point, by method")
    st.caption(f"{own_in_words(base)} {_targets_in_words()}".strip())


def preset_groups(groups: Sequence[str]) -> list[str]:
    """Granule lineage and endothelial cells if the data have them; else none, which shows all."""
    return [*_LINEAGE, _BESIDE] if {*_LINEAGE, _BESIDE} <= set(groups) else []


def target_table(found: dict[str, pd.DataFrame], *, sources: Sequence[str]) -> pd.DataFrame:
    """One row a group and one column a method: ``→ target (mean cosine, number of cells)``."""
    columns = {
        name: [target_in_words(*row, few=few) for *row, few in table.itertuples(index=False)]
        for name, table in found.items()
    }
    return pd.DataFrame(columns, index=pd.Index(sources, name="Cell type"))


def target_in_words(target: str | None, cosine: float, n_cells: int, *, few: bool) -> str:
    """One row of `deepvelo.tl.metrics.heading.headings`, marked where it rests on few cells."""
    if n_cells == 0:
        return "not known"
    mark = f"{FEW}: " * few
    if target is None:
        return f"{mark}none (best {decimal(cosine)})"
    return f"{mark}→ {target} ({cosine:.2f}, {n_cells if few else number(n_cells, 'cell')})"


def _targets_in_words() -> str:
    from deepvelo.tl.lineage.group_edges import FEW_CELLS, FORCED
    from deepvelo.tl.metrics.heading import LEAST_CELLS, LEAST_COSINE, LEAST_ERRORS

    return (
        "The neighbouring cell type with the highest cross-boundary direction correctness (CBDir): the mean cosine between "
        "arrows and displacements to neighbours of that type, in brackets with the number of cells. "
        f"None: no mean reaches {LEAST_COSINE:g} and {LEAST_ERRORS} standard errors. Not known: fewer than {LEAST_CELLS} cells border another type. "
        f"{FEW.capitalize()}: fewer than {FEW_CELLS} on one side. {FORCED}, which inflates the value. "
        "Arrows are as fitted; a projection to two dimensions can distort a correct direction."
    )


def _panel(name: str, run: Run, gene: str, *, cells: pd.Index, base: Run) -> Panel:
    """A method's portrait of the shared cells; the first run's counts if the method left the gene out."""
    if gene not in run.var.index:
        phase = _of_cells(phase_of(base, gene), base.obs.index.get_indexer(cells))
        nothing = np.full(len(cells), np.nan, dtype=np.float32)
        return Panel(title=name, phase=dataclasses.replace(phase, velocity=nothing, velocity_u=None))
    phase = _of_cells(phase_of(run, gene), run.obs.index.get_indexer(cells))
    mode = run.info.settings.method
    if mode == "deepvelo" or mode == "imported":
        return Panel(title=name, phase=phase)
    cached.warm_up().join()
    from deepvelo.tl.velocity.model_curves import FIT_TIME, learned_curve, steady_state_line

    fit = run.var.loc[gene]
    line, curve = steady_state_line(fit, mode=mode), None
    if mode == "dynamical":
        times = cached.gene_values(run.info.run_id, FIT_TIME, gene)
        curve = learned_curve(fit, last_time=float(np.max(times)))
    return Panel(
        title=name,
        phase=phase,
        line=None if line is None else (line.slope, line.intercept),
        induction=None if curve is None else curve.induction,
        repression=None if curve is None else curve.repression,
    )


def _of_cells(phase: Phase, rows: np.ndarray) -> Phase:
    up, undecided = phase.velocity_u, phase.undecided
    return Phase(
        gene=phase.gene,
        spliced=phase.spliced[rows],
        unspliced=phase.unspliced[rows],
        velocity=phase.velocity[rows],
        velocity_u=None if up is None else up[rows],
        undecided=None if undecided is None else undecided[rows],
    )


def _in_words(panels: Sequence[Panel], runs: dict[str, Run], gene: str) -> str:
    """The caption under the portraits."""
    words = [
        "Each point is a cell; arrows show its velocity: right for more spliced (ds/dt), up for more unspliced (du/dt). "
        "Arrows are as fitted, whatever smoothing is chosen above; lengths are relative within a panel."
    ]
    shares = [
        f"{share_in_words(undecided)} of the cells in {escape(name)}"
        for name, run in runs.items()
        if (undecided := undecided_cells(run)) is not None
    ]
    if shares:
        words.append(f"**Faded arrows:** {', '.join(shares)}, whose direction the data do not decide.")
    flat = [name for name, run in runs.items() if not run.has_du_dt]
    if flat:
        words.append(f"No du/dt, so arrows are horizontal: {', '.join(map(escape, flat))}.")
    without = [panel.title for panel in panels if not np.isfinite(panel.phase.velocity).any()]
    if without:
        words.append(f"{escape(gene)} has no velocity in {', '.join(map(escape, without))}.")
    if any(panel.line for panel in panels):
        words.append(
            "Dashed: scVelo's steady-state line. In the steady-state and stochastic modes, cells above it gain spliced RNA "
            "and cells below it lose it."
        )
    if any(panel.induction is not None for panel in panels):
        words.append(
            "Solid and dotted: the curve of the dynamical mode, induction and repression; its arrows are the curve's "
            "velocity at the latent time of the cell."
        )
    return " ".join(words)
