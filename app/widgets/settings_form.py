"""The form of all settings, drawn from `deepvelo.config`: titles, help, ranges and choices live there."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from app import session
from deepvelo.config import PRESETS, Preset, Settings, from_dict, sections, to_dict

TITLES = {
    "preparation": "Preparation",
    "graph": "Graph",
    "network": "Network",
    "objective": "Objective",
    "training": "Training",
}
# What a biologist changes first; the rest waits in expanders.
FIRST: tuple[tuple[str, str], ...] = (
    ("graph", "n_neighbors"),
    ("graph", "n_candidates"),
    ("objective", "lambda_u"),
    ("objective", "lambda_s"),
    ("training", "n_epochs"),
    ("preparation", "n_top_genes"),
)
PRESET_KEY = "settings.preset"
SEED_KEY = "settings.seed"
_PRESET_HELP = (
    "default: rates that cannot be negative; where each cell heads is settled before the training. "
    "published: objective and schedule of the released DeepVelo, to repeat its results; its rates may be negative."
)


def settings_form() -> tuple[Settings, dict[str, DeltaGenerator]]:
    """Draw the form.

    Returns
    -------
    The checked settings, and places below the candidate neighbours and the epochs for `say_what_is_used`.

    Raises
    ------
    InputError
        What the widgets cannot rule out by themselves, such as layer sizes or a start without its rate layer.
    """
    _fill_missing(Settings())
    left, right = st.columns(2)
    with left:
        preset: Preset | None = st.segmented_control(
            "Preset", list(PRESETS), key=PRESET_KEY, on_change=_fill_preset, help=_PRESET_HELP,
            required=True, persist_state="session", width="stretch",
        )  # fmt: skip
    values: dict[str, Any] = {"preset": preset} | {name: {} for name in TITLES}
    with right:
        seed = Settings.__pydantic_fields__["seed"]  # type: ignore[attr-defined]
        values["seed"] = _widget(SEED_KEY, seed)
    fields = {section: cls.__pydantic_fields__ for section, cls in sections().items()}  # type: ignore[attr-defined]
    below = {}
    for i, (section, name) in enumerate(FIRST):
        if i % 2 == 0:  # row by row: a note in one column must not push the two apart
            columns = st.columns(2)
        with columns[i % 2]:
            values[section][name] = _widget(_key(section, name), fields[section][name])
            if name in ("n_candidates", "n_epochs"):
                below[name] = st.empty()
    for section, title in TITLES.items():
        rest = [name for name in fields[section] if (section, name) not in FIRST]
        with st.expander(f"{title}: {_words(fields[section], rest)}"):
            columns = st.columns(2)
            for i, name in enumerate(rest):
                with columns[i % 2]:
                    values[section][name] = _widget(_key(section, name), fields[section][name])
    return from_dict(values), below


def say_what_is_used(below: dict[str, DeltaGenerator], settings: Settings, *, n_cells: int) -> None:
    """Say so where data of this size get other numbers of candidates or epochs than were asked for."""
    asked, used = settings.graph.n_candidates, settings.graph.candidates_of(n_cells)
    if used < asked:
        below["n_candidates"].caption(
            f"In this data set {used} of the {asked} are used: the share as candidates, under Graph, "
            f"is {settings.graph.candidate_share:.3g} of its {n_cells:,} cells. Raise it to use more."
        )
    training = settings.training
    passes = training.passes_of(n_cells)
    if passes < training.n_epochs:
        below["n_epochs"].caption(
            f"In this data set {passes} passes over all cells, {training.batch_of(n_cells):,} at a time: "
            f"at least as many steps as {training.n_epochs} epochs of all cells at once."
        )


def _widget(key: str, field: FieldInfo) -> Any:
    label, help_text = field.title or key, field.description
    kind = field.annotation
    if get_origin(kind) is Literal:
        return st.selectbox(label, get_args(kind), key=key, help=help_text, persist_state="session")
    if kind is bool:
        return st.toggle(label, key=key, help=help_text, persist_state="session")
    if kind in (int, float):
        low, high = _range(field)
        step = 1 if kind is int else _step(field)
        return st.number_input(
            label, min_value=low, max_value=high, step=step, key=key, help=help_text,
            format=None if kind is int else "%g", persist_state="session",
        )  # fmt: skip
    text = st.text_input(label, key=key, help=f"{help_text} Numbers with commas.", persist_state="session")
    return [int(part) if part.isdecimal() else part for part in re.split(r"[\s,;]+", text.strip()) if part]


def _range(field: FieldInfo) -> tuple[Any, Any]:
    """Limits for the browser; open ones (greater than) are left to the check of the settings."""
    low, high = _limit(field, "ge", "gt"), _limit(field, "le", "lt")
    if field.annotation is float:
        return (None if low is None else float(low)), (None if high is None else float(high))
    return low, high


def _limit(field: FieldInfo, *names: str) -> Any:
    found = [getattr(limit, name) for limit in field.metadata for name in names if hasattr(limit, name)]
    return found[0] if found else None


def _step(field: FieldInfo) -> float:
    """One in the second digit of the default: 0.1 for 1.0, 0.0001 for 0.003; 0.1 for 0."""
    if field.default == 0:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(field.default))) - 1)


def _fill_missing(settings: Settings) -> None:
    missing = {key: value for key, value in _flat(settings).items() if session.widget_value(key) is None}
    session.fill(missing)


def _fill_preset() -> None:
    values = _flat(PRESETS[session.widget_value(PRESET_KEY)])
    del values[SEED_KEY]
    session.fill(values)


def _flat(settings: Settings) -> dict[str, Any]:
    """Widget key to widget value for every setting."""
    plain = to_dict(settings)
    flat: dict[str, Any] = {PRESET_KEY: plain["preset"], SEED_KEY: plain["seed"]}
    for section in TITLES:
        for name, value in plain[section].items():
            flat[_key(section, name)] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return flat


def _key(section: str, name: str) -> str:
    return f"settings.{section}.{name}"


def _words(fields: dict[str, FieldInfo], names: list[str]) -> str:
    titles = [str(fields[name].title).lower() for name in names[:3]]
    return ", ".join(titles) + (", …" if len(names) > 3 else "")
