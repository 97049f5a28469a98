"""How far a picture can be believed, in a line under it: the worst finding, the signal, and the way to all findings."""

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
from deepvelo.io.runs import Run
from deepvelo.pl.selection import mark_selected
from deepvelo.wording import number

if TYPE_CHECKING:
    from deepvelo.evaluation.gate import Level

VIEW_KEY = "compare.view"
# Colour, word and icon: colour alone is lost on some eyes and on paper.
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
    """The worst colour of the run's quality gate, computed once for what is finished of its checks."""
    if run.info.purpose != "fit":  # checks are made of the run it belongs to
        return
    words, button = st.columns([5, 1], vertical_alignment="center")
    with words, error_in_words():
        with st.spinner("Getting ready"):
            cached.warm_up().join()
        st.markdown(_in_words(run))
    with button:
        if st.button("All findings", icon=":material/checklist:", key="velocity.quality", width="stretch"):
            session.fill({VIEW_KEY: "Quality"})
            session.go("compare")


def fade_toggle(run: Run) -> bool:
    """Whether cells whose direction depends on the seed are to be faded; offered where other seeds are finished."""
    if not controls.runs_for(run, "seed"):
        return False
    return st.toggle(
        "Fade unsure cells", key="velocity.fade", persist_state="session",
        help=f"Those whose direction depends on the seed: fits with other seeds have a mean cosine below {controls.LOW_AGREEMENT:g}.",
    )  # fmt: skip


def fade_unsure(figure: go.Figure, run: Run) -> str:
    """Fade the cells of a picture in which other seeds give other directions, and return how many they are.

    Raises
    ------
    InputError
        A run was deleted meanwhile.
    """
    run_ids = (run.info.run_id, *(run_id for _, run_id in controls.runs_for(run, "seed")))
    agreement = controls.seed_agreement(run_ids)
    sure = np.flatnonzero(~(agreement < controls.LOW_AGREEMENT))
    mark_selected(figure, sure if len(sure) else [-1])  # none: all are faded
    n_faded = number(len(agreement) - len(sure), "cell")
    return f"Faded: {n_faded} of {len(agreement):,}, in which {len(run_ids)} seeds disagree."


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
        words.append(
            f"Nothing found against these arrows; {unchecked} of {len(findings)} checks are not made."
        )
    elif level == "not checked":
        words.append("Nothing was checked that tells of the arrows.")
    else:
        words.append(f"**{of_level[0].title}.** {with_labels(of_level[0].evidence)}")
        words += [f"And {len(of_level) - 1} more."] * (len(of_level) > 1)
    of_signal = next(finding for finding in findings if finding.title == CONTROL)
    if level == "green" or of_level[0] != of_signal:
        words.append(with_labels(of_signal.evidence))
    return " ".join(words)
