"""What decides a lineage analysis, and a button that starts it in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import session, visitors
from app.lineages import queries as lineages
from app.shared import cached, comparison
from app.shared.empty import error_in_words
from app.shared.text import box_labels, escape
from deepvelo.io.runs import Run
from deepvelo.lineages import LineageSettings
from deepvelo.wording import number

FOUND = "Found from the arrows"
FIND = "Find lineages"
WHAT_COMES = (
    "Gives, with these choices, which group becomes which, where every cell ends up, the genes that drive it and what is "
    "known of them; in the background, about a minute for 3,000 cells."
)
_FIELDS = LineageSettings.__dataclass_fields__


def choose_settings(run: Run) -> LineageSettings:
    """Boxes for root, ends, states and weight; at first those of the run's newest analysis."""
    groups = sorted(set(run.obs[run.info.cluster_key].astype(str)))
    key = _key(run)
    newest = next(iter(lineages.earlier(run)), None)
    known = newest or LineageSettings(cluster_key=run.info.cluster_key, seed=run.info.settings.seed)
    if session.widget_value(f"{key}.root") is None:
        session.fill(_boxes(key, known))
    root_box, ends_box, weight_box, states_box, stability_box = st.columns(
        [1.3, 2.2, 1.2, 1, 0.9], vertical_alignment="bottom"
    )
    labels = box_labels([FOUND, *groups])
    root = root_box.selectbox(
        "Root", [FOUND, *groups], format_func=labels.__getitem__, key=f"{key}.root", persist_state="session",
        help="The group where the trajectory begins. A group that biology names is better than one the arrows find.",
    )  # fmt: skip
    terminal = ends_box.multiselect(
        "Ends", groups, format_func=labels.__getitem__, key=f"{key}.terminal", persist_state="session", placeholder=FOUND,
        help="The groups where lineages end, all of them; no arrow between groups leaves one. Without any, those that hold "
        "the cells which come there, see Stability.",
    )  # fmt: skip
    weight = weight_box.slider(
        "Weight of similarity", 0.0, 0.95, step=0.05, key=f"{key}.weight", persist_state="session",
        help="Share of the neighbour graph in the steps from cell to cell; the rest are the arrows. CellRank's usual "
        "choice is 0.2: more makes fates steadier and less the arrows' own.",
    )  # fmt: skip
    states = states_box.number_input(
        "Macrostates", 1, 50, None, key=f"{key}.states", persist_state="session", placeholder="Automatic",
        help="How many slow states the ends are chosen from. Empty: as many as there are slow movements.",
    )  # fmt: skip
    stability = stability_box.number_input(
        "Stability", 0.5, 1.0, step=0.01, key=f"{key}.stability", persist_state="session",
        help="A macrostate is an end when a step from it stays in it with this probability or more. Lower it to find "
        "more ends, and weaker ones. Ends chosen by hand need none.",
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
    """What the keys of a run's boxes begin with."""
    return f"lineages.{run.info.run_id}"


def _boxes(key: str, settings: LineageSettings) -> dict[str, Any]:
    """What the boxes hold for these settings, by key."""
    return {
        f"{key}.root": settings.root or FOUND,
        f"{key}.terminal": list(settings.terminal),
        f"{key}.weight": settings.weight_connectivities,
        f"{key}.states": settings.n_states,
        f"{key}.stability": settings.stability,
    }


def offer(run: Run, settings: LineageSettings) -> None:
    """The button, where the analysis is when it was pressed, and the way back to those there are."""
    if lineages.under_way(run, settings):
        st.caption("The lineages are being found, see above.")
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
    """A choice among the run's analyses, which fills the boxes with theirs."""
    known: dict[str, LineageSettings] = {}
    for settings in lineages.earlier(run):
        known.setdefault(in_short(settings), settings)
    if not known:
        return
    key = f"{_key(run)}.earlier"
    box, _ = st.columns([1.3, 1])
    box.selectbox(
        "Earlier analyses", list(known), format_func=box_labels(known).__getitem__, index=None, key=key,
        on_change=lambda: _return_to(run, known, key), placeholder="Return to one of this run",
    )  # fmt: skip


def _return_to(run: Run, known: dict[str, LineageSettings], key: str) -> None:
    chosen = session.widget_value(key)
    if chosen is not None:
        session.fill(_boxes(_key(run), known[chosen]))


def in_short(settings: LineageSettings) -> str:
    """The choices of an analysis in a line, those left as they are not named."""
    parts = [
        "root found" if settings.root is None else f"root {settings.root}",
        f"ends {', '.join(settings.terminal)}" if settings.terminal else "ends found",
    ]
    if settings.weight_connectivities != _FIELDS["weight_connectivities"].default:
        parts.append(f"weight {settings.weight_connectivities:g}")
    if settings.n_states is not None:
        parts.append(number(settings.n_states, "macrostate"))
    if settings.stability != _FIELDS["stability"].default:
        parts.append(f"stability {settings.stability:g}")
    return "; ".join(parts)


def offer_other_methods(run: Run, settings: LineageSettings) -> None:
    """The same analysis of the newest run of every other method, where it is neither there nor under way."""
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
        "Analyse the other methods too", icon=":material/play_arrow:", key="lineages.others", help=names
    ):
        with error_in_words():
            for other in missing:
                lineages.submit(other, settings, **visitors.visitor())
            st.rerun()
