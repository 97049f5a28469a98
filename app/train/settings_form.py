"""The form of all settings; `deepvelo.config` defines titles, help, ranges and choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.shared.text import box_labels
from deepvelo.config import PRESETS, Preset, Settings, from_dict, sections, to_dict
from deepvelo.contents.graphs import AUTO
from deepvelo.errors import InputError
from deepvelo.plan import plan_of

TITLES = {
    "preparation": "Preparation",
    "graph": "Graph",
    "objective": "Objective",
    "training": "Training",
}
# The settings that change results most (`benchmarks/knobs.py`); expanders hold the rest.
FIRST: tuple[tuple[str, str], ...] = (
    ("preparation", "n_top_genes"),
    ("preparation", "n_neighbors"),
    ("graph", "n_candidates"),
    ("graph", "smooth_inputs"),
    ("graph", "smooth_velocity"),
    ("preparation", "n_components"),
)
PRESET_KEY = "settings.preset"
_LARGEST_EXACT = 2**53  # the browser rounds larger whole numbers
SEED_KEY = "settings.seed"
_COMPARE_IN = "settings.preparation.compare_in"
_PRESET_HELP = (
    "default assigns future and past cells once, before training, and keeps rates non-negative. published uses network, "
    "objective and size factors of the released DeepVelo, to reproduce its results; its rates can be negative."
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """The filled form: ``settings``, or None and the ``problem`` with them.

    ``below`` holds empty elements under candidates and epochs for `say_what_is_used`.
    """

    settings: Settings | None
    problem: str | None
    below: dict[str, DeltaGenerator]


def settings_form(*, compare_in: Sequence[str]) -> Form:
    """Draw the form and check its values.

    ``compare_in`` are the neighbour spaces of the data, from `deepvelo.contents.graphs.options`.
    """
    session.fill_missing(_flat(Settings()))
    if session.widget_value(_COMPARE_IN) not in compare_in:
        session.fill({_COMPARE_IN: AUTO})  # a choice of another data set
    preset: Preset | None = st.segmented_control(
        "Preset", list(PRESETS), key=PRESET_KEY, on_change=_fill_preset, help=_PRESET_HELP,
        required=True, persist_state="session",
    )  # fmt: skip
    values: dict[str, Any] = {"preset": preset} | {name: {} for name in TITLES}
    fields = {section: cls.__pydantic_fields__ for section, cls in sections().items()}  # type: ignore[attr-defined]
    below: dict[str, DeltaGenerator] = {}

    def draw(settings: Sequence[tuple[str, str]]) -> None:
        for i, (section, name) in enumerate(settings):
            if i % 2 == 0:  # row by row, so that a note does not shift one column
                columns = st.columns(2)
            key, field = _key(section, name), fields[section][name]
            with columns[i % 2]:
                values[section][name] = (
                    _choice(key, field, compare_in) if key == _COMPARE_IN else _widget(key, field)
                )
                if name in ("n_candidates", "n_epochs"):
                    below[name] = st.empty()

    draw(FIRST)
    with st.columns(2)[0]:
        seed = Settings.__pydantic_fields__["seed"]  # type: ignore[attr-defined]
        values["seed"] = _widget(SEED_KEY, seed)
    for section, title in TITLES.items():
        rest = [name for name in fields[section] if (section, name) not in FIRST]
        with st.expander(f"{title}: {_words(fields[section], rest)}"):
            draw([(section, name) for name in rest])
    try:
        return Form(settings=from_dict(values), problem=None, below=below)
    except InputError as error:
        return Form(settings=None, problem=str(error), below=below)


def say_what_is_used(form: Form, *, n_cells: int) -> None:
    """Show the number of candidates and epochs that a data set of this size uses."""
    settings = form.settings
    if settings is None:
        return
    plan = plan_of(n_cells, settings.preparation.n_top_genes, settings)
    if settings.graph.n_candidates == 0:
        form.below["n_candidates"].caption(f"This data set uses {plan.n_candidates}.")
    n_epochs = settings.training.n_epochs
    if plan.n_epochs < n_epochs:
        form.below["n_epochs"].caption(
            f"This data set uses {plan.n_epochs} epochs of mini-batches with {plan.batch_cells:,} cells: at least as many "
            f"steps as {n_epochs} epochs without mini-batches."
        )


def _widget(key: str, field: FieldInfo) -> Any:
    label, help_text = field.title or key, field.description
    kind = field.annotation
    if get_origin(kind) is Literal:
        return _choice(key, field, get_args(kind))
    if kind is bool:
        return st.toggle(label, key=key, help=help_text, persist_state="session")
    return _number(label, key, field)


def _choice(key: str, field: FieldInfo, options: Sequence[str]) -> str:
    labels = box_labels(options)
    return st.selectbox(
        field.title or key, options, format_func=labels.__getitem__, key=key, help=field.description,
        persist_state="session",
    )  # fmt: skip


def _number(label: str, key: str, field: FieldInfo) -> float | None:
    """The typed number, None for an empty field; the settings check its range.

    Streamlit's widget drops values beyond its limits, truncates 2.7 and 1e3 if it takes whole numbers, and fills an emptied
    field with the default. A fit would start with a number that nobody typed, so widgets have no limits and no default.
    """
    step = 1.0 if field.annotation is int else _step(field)
    value = st.number_input(
        label, value=None, step=step, format="%g", key=key, help=field.description, persist_state="session"
    )
    if value is None or not abs(value) < _LARGEST_EXACT or value != int(value):  # NaN compares as False
        return value
    return int(value)


def _step(field: FieldInfo) -> float:
    """A tenth of the default's order of magnitude: 0.1 for 1.0, 0.0001 for 0.003; 0.1 for 0."""
    if field.default == 0:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(field.default))) - 1)


def _fill_preset() -> None:
    values = _flat(PRESETS[session.widget_value(PRESET_KEY)])
    del values[SEED_KEY]
    session.fill(values)


def _flat(settings: Settings) -> dict[str, Any]:
    """Value of every setting by widget key."""
    plain = to_dict(settings)
    flat: dict[str, Any] = {PRESET_KEY: plain["preset"], SEED_KEY: plain["seed"]}
    for section in TITLES:
        for name, value in plain[section].items():
            flat[_key(section, name)] = value
    return flat


def _key(section: str, name: str) -> str:
    return f"settings.{section}.{name}"


def _words(fields: dict[str, FieldInfo], names: list[str]) -> str:
    titles = [str(fields[name].title) for name in names[:3]]
    titles = [title[:1].lower() + title[1:] for title in titles]
    return ", ".join(titles) + (", …" if len(names) > 3 else "")
