"""Driver genes of a lineage: a table whose rows open phase portraits, and a heat map along latent time."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import session
from app.lineages import queries as lineages
from app.lineages.one_group import say_one_group
from app.lineages.settings import offer_other_methods
from app.selection import linked
from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.empty import stop_on_error
from app.shared.gene_picker import gene_picker
from app.shared.grouping import own_groups_and_colors
from app.shared.phase_charts import phase_of
from app.shared.shown_run import run_fragment
from app.shared.tables import download, show_genes
from app.shared.text import escape
from deepvelo.io.runs import Run
from deepvelo.io.spreadsheet import to_csv
from deepvelo.lineages import Lineages
from deepvelo.pl.driver_heatmap import driver_heatmap
from deepvelo.pl.phase_portrait import phase_portrait
from deepvelo.tl.lineage.driver_lists import top_drivers

N_SHOWN = 40  # genes of the heat map that stay readable
HEIGHT = 470
TOP = 100
LEAST_Q = 1e-16
NEARNESS = "nearness"  # as `deepvelo.tl.lineage.drivers.drivers` calls it
SINGLE_END = (
    "Single terminal state: every fate probability is 1, so genes are correlated with nearness to it instead."
)
_LEGEND = (
    "Low to High: 95% confidence interval of the correlation. q: false discovery rate. Both assume independent cells, "
    "which cells of one tissue are not: use them to rank."
)
_UNSURE = "In simulated genes of constant rate it is ±0.2 to 0.5, so it is no evidence by itself."
# Column of the drivers, its name, its reliability.
RATES = {
    "α, log2 late/early": (
        "alpha_change",
        "transcription",
        "Its sign is correct for 9 of 10 simulated genes.",
    ),
    "β, log2 late/early": ("beta_change", "splicing", _UNSURE),
    "γ, log2 late/early": ("gamma_change", "degradation", _UNSURE),
}


def drivers_view(run: Run, analysis: Lineages, lineage: str) -> None:
    """Table and phase portrait, then the heat map, of one lineage."""
    say_one_group(run, analysis, lineage)
    found = lineages.of_methods(run, analysis.settings)
    table = driver_table(analysis, lineage, methods=found)
    genes = list(table["Gene"])
    if (table["Measure"] == NEARNESS).all():
        st.caption(SINGLE_END)
    rows, portrait = st.columns([1.7, 1], gap="medium")
    with rows:
        _table(run, table, lineage)
        _overlap(run, analysis, lineage, found)
    with portrait:
        _portrait(run, genes)
    _heatmap(run, analysis, lineage, genes=genes[:N_SHOWN])


def driver_table(analysis: Lineages, lineage: str, *, methods: dict[str, Lineages]) -> pd.DataFrame:
    """Genes of a lineage, best first; ``Methods`` counts the methods with the gene among their top drivers."""
    own = analysis.drivers[analysis.drivers["lineage"] == lineage].sort_values("rank")
    tops = [set(top_drivers(other.drivers, lineage, top=TOP)["gene"]) for other in methods.values()]
    shown = pd.DataFrame(
        {
            "Gene": own["gene"],
            "Correlation": own["correlation"],
            "Low": own["ci_low"],
            "High": own["ci_high"],
            "q": own["q"],
            **{title: own[column] for title, (column, *_) in RATES.items()},
            "Measure": own["measure"],
            "Methods": [sum(gene in top for top in tops) for gene in own["gene"]],
        }
    )
    return shown.dropna(axis="columns", how="all").reset_index(drop=True)


@run_fragment
def _portrait(run: Run, genes: list[str]) -> None:
    """Phase portrait of the chosen gene, by default the best driver; the steps follow the drivers."""
    gene = gene_picker(run, ranked=genes)
    with stop_on_error():
        phase = phase_of(run, gene)
    groups, colors = own_groups_and_colors(run)
    figure = phase_portrait(
        phase,
        groups,
        colors=colors,
        shown=None,
        zoom=False,
        drawn=drawn(run),
        dark=charts.is_dark(),
        height=HEIGHT,
    )
    charts.show(
        figure,
        key="lineages.portrait",
        alt=f"Unspliced against spliced {gene}",
        cells=linked.in_phase(run, [phase]),
    )
    if run_in_words(run):
        st.caption(run_in_words(run))
    if st.button("Open in Phase portraits", icon=":material/scatter_plot:", key="lineages.open"):
        session.set_gene(gene)
        session.go("phase_portraits")


def _heatmap(run: Run, analysis: Lineages, lineage: str, *, genes: list[str]) -> None:
    table = lineages.trend_table(run.info.run_id, genes, analysis.settings, lineage)
    if table.shape[1] == 0:
        st.info("Too few cells belong to this lineage to show genes along it.")
        return
    st.markdown(f"**The {len(genes)} best drivers of {escape(lineage)}**, spliced RNA along latent time")
    figure = driver_heatmap(table, time_title="latent time")
    charts.show(
        figure, key="lineages.heatmap", alt=f"Expression of the drivers of {lineage} along latent time"
    )


def _table(run: Run, table: pd.DataFrame, lineage: str) -> None:
    key = f"lineages.drivers.{run.info.run_id}.{lineage}"  # one selection per run and lineage
    near = (table["Measure"] == NEARNESS).all()
    show_genes(
        table.assign(q=table["q"].clip(lower=LEAST_Q)),
        height=430,
        key=key,
        column_order=[name for name in table if name != "Measure"],
        column_config={
            "Gene": st.column_config.TextColumn(
                help="Select a row to show the gene's phase portrait.", pinned=True, width=66
            ),
            "Correlation": st.column_config.NumberColumn(
                format="%.2f",
                help="Correlation of expression with nearness to the terminal state, by mean number of steps."
                if near
                else "Correlation of expression with the probability of this fate.",
            ),
            **{
                title: st.column_config.NumberColumn(width=46, format="%.2f", help=_interval_in_words(end))
                for title, end in (("Low", "Lower"), ("High", "Upper"))
            },
            "q": st.column_config.NumberColumn(
                format="%.0e", help="False discovery rate (Benjamini-Hochberg over the genes of the lineage), at least 1e-16. It is too "
                "small, because cells of one tissue are not independent: use it to rank."
            ),
            **{
                title: st.column_config.NumberColumn(
                    width=98,
                    format="%+.1f",
                    help=f"Log2 of {name} in the last third of the lineage over the first third: +1 is twofold, −1 "
                    f"half. {note}",
                )
                for title, (_, name, note) in RATES.items()
            },
            "Methods": st.column_config.NumberColumn(
                width=60,
                help=f"Number of methods, analysed with the same choices, that have the gene among their {TOP} best."
            ),
        },
        alt=f"Driver genes of {lineage}",
    )  # fmt: skip
    st.caption(_LEGEND)
    download("Drivers as CSV", to_csv(table), name=f"drivers_{lineage.replace(' ', '_')}.csv")


def _interval_in_words(end: str) -> str:
    return (
        f"{end} limit of the 95% confidence interval of the correlation. It assumes independent cells, so the true interval is "
        "wider."
    )


def _overlap(run: Run, analysis: Lineages, lineage: str, found: dict[str, Lineages]) -> None:
    """Number of top drivers that other methods share."""
    from deepvelo.tl.lineage.driver_lists import driver_overlap

    lines = []
    own = next(iter(found))  # the run itself comes first
    for name, other in found.items():
        overlap = driver_overlap(analysis.drivers, other.drivers, top=TOP)
        of_lineage = overlap[overlap["lineage"] == lineage]
        if name == own or of_lineage.empty:
            continue
        row = of_lineage.iloc[0]
        lines.append(
            f"- {escape(name)}: {row['n_common']} of {row['top']} best drivers shared, "
            f"{row['expected']:.0f} expected by chance among {row['n_tested']} common genes"
        )
    st.markdown("\n".join(lines) or "No other method has this lineage with the same choices.")
    offer_other_methods(run, analysis.settings)
