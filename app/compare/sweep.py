"""Sensitivity to settings: values to vary, scores of the sweep, and the conclusions that hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from app.compare.control_fits import offer
from app.shared import charts, controls
from app.shared.boundaries import chosen_boundaries
from app.shared.empty import error_in_words
from app.shared.tables import show_table
from app.shared.text import with_labels
from deepvelo.config.objective import LARGEST_LAMBDA
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.pl.sensitivity_map import sensitivity_map
from deepvelo.plan import n_candidates

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.evaluation.controls import SweepValues

TITLES = {
    "consistency": "Consistency",
    "consistency_celltype": "Within type",
    "agreement": "Agreement\nwith base run",
    "reversed": "Cells\nreversed",
}


@dataclass(frozen=True, kw_only=True)
class _Varied:
    """A setting that can be varied."""

    title: str
    field: str
    own: float
    values: tuple[float, ...]
    """Offered, and chosen by default."""
    number: Callable[[str], float]
    help: str = "Values to fit, one at a time; type others to add them."


def sweep_part(base: Run) -> None:
    """Choose values, queue the fits, show the conclusions that hold."""
    from deepvelo.evaluation.controls import conclusions, sweep_plan
    from deepvelo.evaluation.controls.sensitivity import BOUNDARY_DEFINITION, COLUMNS, REVERSED

    st.markdown(
        "**Does the direction depend on the settings?** Each fit changes one setting on the same data. The data do not "
        "determine a direction that reverses with a setting."
    )
    with error_in_words():  # an invalid value leaves the finished part in place
        offer(
            base,
            sweep_plan(base.info, controls.folder_of(base), values=_values(base)),
            key="compare.fit_sweep",
        )
    done = controls.runs_for(base, "sweep")
    if not done:
        return
    edges = chosen_boundaries(base)
    table = controls.sweep_table(base.info.run_id, done, edges)
    st.markdown("\n".join(f"- {with_labels(sentence)}" for sentence in conclusions(table)))
    wrapped = {column: " ".join(str(column).split()).replace(" > ", " >\n") for column in table}
    charts.show(
        sensitivity_map(table, titles=wrapped | TITLES, shares=(REVERSED,)), key="compare.sweep_map",
        alt="Scores of the runs with other settings",
    )  # fmt: skip
    with st.expander("Definitions, and the table"):
        words = [f"- **{' '.join(TITLES[column].split())}**: {text}." for column, text in COLUMNS.items()]
        words.append(f"- **A > B**: {BOUNDARY_DEFINITION}, mean over the source's cells.")
        st.markdown("\n".join(words))
        show_table(table.round(3), alt="Scores of the runs with other settings")


def _values(base: Run) -> SweepValues:
    """The values to vary.

    Raises
    ------
    InputError
        A typed value is not a number.
    """
    from deepvelo.evaluation.controls import SweepValues

    settings = _varied_settings(base)
    typed = {}
    for box, varied in zip(st.columns(len(settings), gap="small"), settings, strict=True):
        typed[varied.field] = box.multiselect(
            f"{varied.title}, here {varied.own:g}", [f"{value:g}" for value in varied.values],
            default=[f"{value:g}" for value in varied.values], accept_new_options=True, placeholder="Not varied",
            key=f"compare.sweep.{base.info.run_id}.{varied.field}", persist_state="session",
            help=varied.help,
        )  # fmt: skip
    chosen = {
        varied.field: tuple(_number(text, varied) for text in typed[varied.field]) for varied in settings
    }
    return SweepValues(**chosen)  # type: ignore[arg-type]  # whole numbers where they must be


def _varied_settings(base: Run) -> list[_Varied]:
    settings, metrics = base.info.settings, base.info.metrics
    n_cells, n_genes = int(metrics["n_cells"]), int(metrics["n_genes"])
    genes = _Varied(
        title="Genes",
        field="n_genes",
        own=n_genes,
        values=_whole(n_genes, below=n_genes, shares=(0.5,)),
        number=int,
    )
    if settings.method != "deepvelo":  # only the preparation counts for other methods
        return [genes]
    graph, candidates = settings.graph, n_candidates(n_cells, settings)
    return [
        _Varied(
            title="Graph neighbours", field="n_neighbors", own=graph.n_neighbors, number=int,
            values=_whole(graph.n_neighbors, below=n_cells),
        ),
        _Varied(
            title="Candidates", field="n_candidates", own=candidates, number=int,
            values=_whole(candidates, below=n_cells),
        ),
        *_lambdas(settings),
        genes,
    ]  # fmt: skip


def _lambdas(settings: Settings) -> list[_Varied]:
    """Both lambdas; only the first for the published schedule, where their ratio counts."""
    objective = settings.objective
    unspliced = _Varied(
        title="λ unspliced", field="lambda_u", own=objective.lambda_u, values=_around(objective.lambda_u), number=float
    )  # fmt: skip
    if settings.variant.direction_schedule == "published":
        ratio = f"{unspliced.help} Only its ratio to λ spliced counts in the published schedule."
        return [replace(unspliced, help=ratio)]
    spliced = _Varied(
        title="λ spliced", field="lambda_s", own=objective.lambda_s, values=_around(objective.lambda_s), number=float
    )  # fmt: skip
    return [unspliced, spliced]


def _whole(own: int, *, below: int, shares: tuple[float, ...] = (0.5, 2)) -> tuple[float, ...]:
    """Half and double the value, within what a fit allows."""
    return tuple(value for share in shares if 2 <= (value := round(share * own)) < below)


def _around(own: float) -> tuple[float, ...]:
    """0 and four times the value, because half and double hardly matter; 1 and 4 if it is 0."""
    if own == 0:
        return 1.0, 4.0
    return (0.0, 4 * own if 4 * own <= LARGEST_LAMBDA else own / 4)


def _number(text: str, varied: _Varied) -> float:
    try:
        return varied.number(text.strip())
    except ValueError:
        kind = "a whole number" if varied.number is int else "a number"
        msg = f"'{varied.title}' takes {kind}. Got {text[:50]!r}. Remove it and type another."
        raise InputError(msg) from None
