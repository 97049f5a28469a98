"""Quality gate: findings on the run, worst first, each with its evidence and its threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import session
from app.compare.controls import PART_KEY
from app.shared import controls
from app.shared.boundaries import chosen_boundaries
from app.shared.empty import error_in_words
from app.shared.signal import BADGES, VIEW_KEY, batch_key_of
from app.shared.text import box_labels, with_labels
from deepvelo import keys
from deepvelo.contents import is_grouping
from deepvelo.io.runs import Run

if TYPE_CHECKING:
    from deepvelo.evaluation.gate import GateFinding, Level

_NO_BATCHES = {keys.RATES_LEIDEN}  # found by the fit
MOST_BATCHES = 30
_ORDER: tuple[Level, ...] = ("red", "amber", "not checked", "green")
MEANINGS: dict[Level, str] = {
    "red": "do not interpret the arrows before this is resolved",
    "amber": "interpret the arrows with care",
    "not checked": "not computed yet, so not known",
    "green": "no problem found, which does not prove the arrows right",
}


def _checked_by() -> dict[str, tuple[str, str | None]]:
    """The view, and the part of it, that computes a finding not yet checked."""
    # Takes seconds to import; pages that link here do not wait for it.
    from deepvelo.evaluation.gate.finding import CONTROL, METHODS, SWEEP

    return {
        CONTROL: ("Controls", "Shuffled control"),
        SWEEP: ("Controls", "Other settings"),
        METHODS: ("Scores", None),
    }


def quality_view(base: Run) -> None:
    """All findings, and a box for the batch column, which the data cannot tell."""
    with error_in_words():
        words, box = st.columns([2.6, 1], gap="medium", vertical_alignment="bottom")
        with box:
            batch_key = _batch_box(base)
        findings = sorted(
            controls.gate(base, edges=chosen_boundaries(base), batch_key=batch_key),
            key=lambda finding: _ORDER.index(finding.level),
        )
        counts = {level: sum(finding.level == level for finding in findings) for level in _ORDER}
        words.markdown(" ".join(f"{BADGES[level]} {counts[level]}" for level in _ORDER if counts[level]))
        words.caption(". ".join(f"{level.capitalize()}: {MEANINGS[level]}" for level in _ORDER) + ".")
        for finding in findings:
            _row(finding)


def _batch_box(base: Run) -> str | None:
    columns = [
        str(name)
        for name in base.obs
        if name not in _NO_BATCHES
        and is_grouping(base.obs[name])
        and base.obs[name].nunique() <= MOST_BATCHES
        and name != base.info.cluster_key
    ]
    return st.selectbox(
        "Batch column", columns, format_func=box_labels(columns).__getitem__, index=None, placeholder="None" if columns else "No suitable column",
        key=batch_key_of(base), persist_state="session", disabled=not columns,
        help="Column with the sample or sequencing run of each cell. Choose one to check that directions do not follow batches.",
    )  # fmt: skip


def _row(finding: GateFinding) -> None:
    with st.container(border=True):
        badge, text, action = st.columns([0.9, 6.4, 1.2], vertical_alignment="center")
        badge.markdown(BADGES[finding.level])
        text.markdown(f"**{finding.title}.** {with_labels(finding.evidence)}")
        text.caption(f"Threshold: {with_labels(finding.threshold)}. {with_labels(finding.why)}")
        if finding.level == "not checked" and finding.title in _checked_by():
            view, part = _checked_by()[finding.title]
            action.button(f"Go to {view}", key=f"check.{finding.title}", on_click=_show, args=(view, part))


def _show(view: str, part: str | None) -> None:
    session.fill({VIEW_KEY: view} | ({PART_KEY: part} if part else {}))
