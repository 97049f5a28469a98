"""Settings of a lineage analysis, and the button that starts it in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import session, visitors
from app.lineages import queries as lineages
from app.shared import cached, comparison
from app.shared.empty import error_in_words
from app.shared.text import box_labels, escape
from app.shared.view import number_in, one_of, some_of
from deepvelo.io.runs import Run
from deepvelo.lineages import LineageSettings
from deepvelo.wording import number

FOUND = "Inferred from arrows"
FIND = "Compute lineages"
WHAT_COMES = (
    "Computes transitions between groups, fates, driver genes and their enrichment in the background; about a minute for "
    "3,000 cells."
)
_FIELDS = LineageSettings.__dataclass_fields__


def choose_settings(run: Run) -> LineageSettings:
    """Boxes of the settings; they start with those of the run's newest analysis."""
    groups = sorted(set(run.obs[run.info.cluster_key].astype(str)))
    key = _key(run)
    newest = next(iter(lineages.earlier(run)), None)
    known = newest or LineageSettings(cluster_key=run.info.cluster_key, seed=run.info.settings.seed)
    root_box, ends_box = st.columns([1, 2], vertical_alignment="bottom")
    weight_box, states_box, stability_box = st.columns(3, vertical_alignment="bottom")
    labels = box_labels([FOUND, *groups])
    root = root_box.selectbox(
        "Root", [FOUND, *groups], format_func=labels.__getitem__,
        **one_of("root", [FOUND, *groups], key=f"{key}.root", default=known.root, always=True),
        help="Group where the trajectory starts. Choose it when it is known from biology, which is more reliable than inference.",
    )  # fmt: skip
    terminal = ends_box.multiselect(
        "Terminal states", groups, format_func=labels.__getitem__, placeholder=FOUND,
        **some_of("terminal", groups, key=f"{key}.terminal", default=known.terminal, always=True),
        help="Groups where lineages end; choose all of them or none. Empty: inferred from macrostates (see Stability).",
    )  # fmt: skip
    weight = weight_box.slider(
        "Weight of similarity", 0.0, 0.95, step=0.05,
        **number_in("weight", 0.0, 0.95, known.weight_connectivities, key=f"{key}.weight", always=True),
        help="Weight of the neighbour graph in transition probabilities; velocity has the rest. Raising it makes fates more "
        "stable and less dependent on velocity; CellRank uses 0.2.",
    )  # fmt: skip
    states = states_box.number_input(
        "Macrostates", 1, 50, None, placeholder="Automatic",
        **number_in("states", 1, 50, known.n_states, key=f"{key}.states", always=True, may_be_empty=True),
        help="Number of macrostates among which terminal states are inferred. Empty: determined by the spectrum.",
    )  # fmt: skip
    stability = stability_box.number_input(
        "Stability", 0.5, 1.0, step=0.01,
        **number_in("stability", 0.5, 1.0, known.stability, key=f"{key}.stability", always=True),
        help="Minimum probability that a step from a macrostate stays in it, for a terminal state. Lower it to infer more, "
        "weaker terminal states; it does not matter for chosen ones.",
    )  # fmt: skip
    return LineageSettings(
        cluster_key=run.info.cluster_key,
        root=None if root == FOUND else str(root),
        terminal=tuple(terminal),
        weight_connectivities=round(float(weight), 2),
        stability=round(float(stability), 4),
        n_states=None if states is None else int(states),
        seed=known.seed,
    )


def _key(run: Run) -> str:
    """Prefix of the keys of a run's boxes."""
    return f"lineages.{run.info.run_id}"


def _boxes(key: str, settings: LineageSettings) -> dict[str, Any]:
    """Values of the boxes for these settings, by key."""
    return {
        f"{key}.root": settings.root or FOUND,
        f"{key}.terminal": list(settings.terminal),
        f"{key}.weight": settings.weight_connectivities,
        f"{key}.states": settings.n_states,
        f"{key}.stability": settings.stability,
    }


def offer(run: Run, settings: LineageSettings) -> None:
    """The button that starts the analysis, its state, and the earlier analyses."""
    if lineages.under_way(run, settings):
        st.caption("The lineages are being computed, see above.")
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(FIND, type="primary", icon=":material/play_arrow:", key="lineages.find")
            st.caption(WHAT_COMES)
        if pressed:
            with error_in_words():
                lineages.submit(run, settings, **visitors.visitor())
                st.rerun()
    offer_earlier(run)


def offer_earlier(run: Run) -> None:
    """A choice of an earlier analysis, which fills the boxes with its settings."""
    known: dict[str, LineageSettings] = {}
    for settings in lineages.earlier(run):
        known.setdefault(in_short(settings), settings)
    if not known:
        return
    key = f"{_key(run)}.earlier"
    box, _ = st.columns([1.3, 1])
    box.selectbox(
        "Earlier analyses", list(known), format_func=box_labels(known).__getitem__, index=None, key=key,
        on_change=lambda: _return_to(run, known, key), placeholder="Choose one to show it",
    )  # fmt: skip


def _return_to(run: Run, known: dict[str, LineageSettings], key: str) -> None:
    chosen = session.widget_value(key)
    if chosen is not None:
        session.fill(_boxes(_key(run), known[chosen]))


def in_short(settings: LineageSettings) -> str:
    """The settings of an analysis in a line, without those at their default."""
    parts = [
        "root inferred" if settings.root is None else f"root {settings.root}",
        f"terminal {', '.join(settings.terminal)}" if settings.terminal else "terminal states inferred",
    ]
    if settings.weight_connectivities != _FIELDS["weight_connectivities"].default:
        parts.append(f"weight {settings.weight_connectivities:g}")
    if settings.n_states is not None:
        parts.append(number(settings.n_states, "macrostate"))
    if settings.stability != _FIELDS["stability"].default:
        parts.append(f"stability {settings.stability:g}")
    return "; ".join(parts)


def offer_other_methods(run: Run, settings: LineageSettings) -> None:
    """A button that runs the same analysis for the newest run of each other method."""
    others = [cached.open_run(run_id) for run_id in comparison.default_runs(run.info)]
    missing = [
        other
        for other in others
        if settings.cluster_key in other.obs
        and lineages.found(other, settings) is None
        and not lineages.under_way(other, settings)
    ]
    if not missing:
        return
    names = ", ".join(escape(other.info.method_label) for other in missing)
    if st.button(
        "Analyse the other methods", icon=":material/play_arrow:", key="lineages.others", help=names
    ):
        with error_in_words():
            for other in missing:
                lineages.submit(other, settings, **visitors.visitor())
            st.rerun()
