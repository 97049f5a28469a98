"""The line of the quality gate under a figure: worst finding, signal, and a link to all findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app import session
from app.shared import cached, controls
from app.shared.boundaries import chosen_boundaries
from app.shared.empty import error_in_words
from app.shared.text import with_labels
from app.shared.view import switch
from deepvelo.io.runs import Run
from deepvelo.pl.fading import fade_others
from deepvelo.wording import number

if TYPE_CHECKING:
    from deepvelo.evaluation.gate import Level

VIEW_KEY = "compare.view"
# Colour, word and icon, because not everyone sees colour.
BADGES: dict[Level, str] = {
    "red": ":red-badge[:material/cancel: Red]",
    "amber": ":orange-badge[:material/warning: Amber]",
    "not checked": ":gray-badge[:material/help: Not checked]",
    "green": ":green-badge[:material/check_circle: Green]",
}


def batch_key_of(base: Run) -> str:
    """Session key of the batch column named for a run."""
    return f"compare.batch.{base.info.run_id}"


def quality_line(run: Run) -> None:
    """The worst level of the run's quality gate, with its evidence."""
    if run.info.purpose != "fit":  # a control is checked with its base run
        return
    with st.spinner("Loading libraries"):
        cached.warm_up().join()
    with st.container(horizontal=True, vertical_alignment="center"):
        with error_in_words():
            st.markdown(_in_words(run))
        if st.button("All findings", icon=":material/checklist:", key="velocity.quality"):
            session.fill({VIEW_KEY: "Quality"})
            session.go("compare")


def fade_toggle(run: Run) -> bool:
    """Switch to fade cells whose direction depends on the seed; drawn if fits with other seeds exist."""
    if not controls.runs_for(run, "seed"):
        return False
    return st.toggle(
        "Fade by seed", **switch("fade", key="velocity.fade"),
        help=f"Fades cells whose direction depends on the seed: the mean cosine between seeds is below {controls.LOW_AGREEMENT:g}. Turn it on to see which arrows not to interpret.",
    )  # fmt: skip


def fade_unsure(figure: go.Figure, run: Run) -> str:
    """Fade the cells of a figure whose direction depends on the seed, and return a sentence with their number.

    Raises
    ------
    InputError
        A run was deleted meanwhile.
    """
    run_ids = (run.info.run_id, *(run_id for _, run_id in controls.runs_for(run, "seed")))
    agreement = controls.seed_agreement(run_ids)
    sure = np.flatnonzero(~(agreement < controls.LOW_AGREEMENT))
    fade_others(figure, sure)
    n_faded = number(len(agreement) - len(sure), "cell")
    return f"Faded: {n_faded} of {len(agreement):,} on which {len(run_ids)} seeds disagree."


def _in_words(run: Run) -> str:
    from deepvelo.evaluation.gate import worst
    from deepvelo.evaluation.gate.finding import CONTROL

    findings = controls.gate(
        run, edges=chosen_boundaries(run), batch_key=session.widget_value(batch_key_of(run))
    )
    level = worst(findings)
    of_level = [finding for finding in findings if finding.level == level]
    words = [f"{BADGES[level]} "]
    if level == "green":
        unchecked = sum(finding.level == "not checked" for finding in findings)
        words.append(f"No problem found; {unchecked} of {len(findings)} checks were not run.")
    elif level == "not checked":
        words.append("No check of the arrows was run.")
    else:
        words.append(f"**{of_level[0].title}.** {with_labels(of_level[0].evidence)}")
        words += [f"And {len(of_level) - 1} more."] * (len(of_level) > 1)
    of_signal = next(finding for finding in findings if finding.title == CONTROL)
    if level == "green" or of_level[0] != of_signal:
        words.append(with_labels(of_signal.evidence))
    return " ".join(words)
