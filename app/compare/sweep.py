"""Which conclusions survive other settings: what to vary, the sweep's scores, and what they leave of the run."""

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
class _Knob:
    """A setting that can be varied."""

    title: str
    field: str
    own: float
    values: tuple[float, ...]
    """Offered and taken at first."""
    number: Callable[[str], float]
    help: str = "Values to try, each alone; type others."


def sweep_part(base: Run) -> None:
    """Choose values, queue the fits, read what survives."""
    from deepvelo.evaluation.controls import conclusions, sweep_plan
    from deepvelo.evaluation.controls.sensitivity import BOUNDARY_DEFINITION, COLUMNS, REVERSED

    st.markdown(
        "**Does the direction depend on choices that biology does not make?** Each fit changes one setting on the same "
        "data. The data do not decide a direction that reverses with a setting."
    )
    with error_in_words():  # a value that cannot be takes nothing away from what is finished
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
    """What the visitor wants to vary.

    Raises
    ------
    InputError
        What was typed is no number.
    """
    from deepvelo.evaluation.controls import SweepValues

    knobs = _knobs(base)
    typed = {}
    for box, knob in zip(st.columns(len(knobs), gap="small"), knobs, strict=True):
        typed[knob.field] = box.multiselect(
            f"{knob.title}, here {knob.own:g}", [f"{value:g}" for value in knob.values],
            default=[f"{value:g}" for value in knob.values], accept_new_options=True, placeholder="Not varied",
            key=f"compare.sweep.{base.info.run_id}.{knob.field}", persist_state="session",
            help=knob.help,
        )  # fmt: skip
    chosen = {knob.field: tuple(_number(text, knob) for text in typed[knob.field]) for knob in knobs}
    return SweepValues(**chosen)  # type: ignore[arg-type]  # whole numbers where they must be


def _knobs(base: Run) -> list[_Knob]:
    settings, metrics = base.info.settings, base.info.metrics
    n_cells, n_genes = int(metrics["n_cells"]), int(metrics["n_genes"])
    genes = _Knob(
        title="Genes",
        field="n_genes",
        own=n_genes,
        values=_whole(n_genes, below=n_genes, shares=(0.5,)),
        number=int,
    )
    if settings.method != "deepvelo":  # scVelo's modes ignore the other settings
        return [genes]
    graph, candidates = settings.graph, n_candidates(n_cells, settings)
    return [
        _Knob(
            title="Graph neighbours", field="n_neighbors", own=graph.n_neighbors, number=int,
            values=_whole(graph.n_neighbors, below=n_cells),
        ),
        _Knob(
            title="Candidates", field="n_candidates", own=candidates, number=int,
            values=_whole(candidates, below=n_cells),
        ),
        *_lambdas(settings),
        genes,
    ]  # fmt: skip


def _lambdas(settings: Settings) -> list[_Knob]:
    """Both lambdas; one for the published schedule, where only their ratio counts."""
    objective = settings.objective
    unspliced = _Knob(
        title="λ unspliced", field="lambda_u", own=objective.lambda_u, values=_around(objective.lambda_u), number=float
    )  # fmt: skip
    if settings.variant.direction_schedule == "published":
        ratio = f"{unspliced.help} Only its ratio to λ spliced counts in the published schedule."
        return [replace(unspliced, help=ratio)]
    spliced = _Knob(
        title="λ spliced", field="lambda_s", own=objective.lambda_s, values=_around(objective.lambda_s), number=float
    )  # fmt: skip
    return [unspliced, spliced]


def _whole(own: int, *, below: int, shares: tuple[float, ...] = (0.5, 2)) -> tuple[float, ...]:
    """Half and double, where a fit can have so many."""
    return tuple(value for share in shares if 2 <= (value := round(share * own)) < below)


def _around(own: float) -> tuple[float, ...]:
    """Off and four times, since half and double hardly act; where it is off, 1 and 4."""
    if own == 0:
        return 1.0, 4.0
    return (0.0, 4 * own if 4 * own <= LARGEST_LAMBDA else own / 4)


def _number(text: str, knob: _Knob) -> float:
    try:
        return knob.number(text.strip())
    except ValueError:
        kind = "a whole number" if knob.number is int else "a number"
        msg = f"'{knob.title}' takes {kind}. Got {text[:50]!r}. Remove it and type another."
        raise InputError(msg) from None
