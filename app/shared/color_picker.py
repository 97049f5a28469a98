"""Choice of the colouring of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from app import session
from app.shared import cached
from app.shared.empty import say_error
from app.shared.gene_lists import chosen_list
from app.shared.grouping import by_hand, groups_of, shown_key
from app.shared.methods import NO_ALPHA, no_rates
from app.shared.text import box_labels
from app.shared.undecided import has_probability
from deepvelo import keys
from deepvelo.contents.groups import MAX_GROUPS
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.pl import theme

_ALPHA = "gene_alpha"
GENE_LAYERS = {
    session.GENE_COLOR: keys.MS,
    "gene_velocity": keys.VELOCITY,
    _ALPHA: keys.ALPHA,
    "gene_beta": keys.BETA,
    "gene_gamma": keys.GAMMA,
}
LIST_SCORE = "gene_list"
OF_GENES = frozenset({*GENE_LAYERS, LIST_SCORE})  # colours for which a page offers the choice of a gene
LABELS = {
    keys.LATENT_TIME: "Latent time",
    keys.PSEUDOTIME: "Pseudotime",
    keys.CONFIDENCE: "Confidence in direction",
    keys.UNDECIDED: "Direction undecided",
    keys.CONSISTENCY: "Consistency, neighbours",
    keys.CONSISTENCY_CELLTYPE: "Consistency, cell type",
    keys.RATES_LEIDEN: "Rate clusters",
    session.GENE_COLOR: "Gene: expression",
    "gene_velocity": "Gene: velocity",
    _ALPHA: "Gene: α, transcription",
    "gene_beta": "Gene: β, splicing",
    "gene_gamma": "Gene: γ, degradation",
    LIST_SCORE: "Gene list: mean score",
}


def color_picker(run: Run, *, label: str = "Colour by") -> str:
    """Select box; returns a column of ``run.obs``, a grouping made by hand, or one of `OF_GENES`."""
    options = list(dict.fromkeys([*color_options(run), LIST_SCORE]))
    chosen = session.color()
    if chosen in LABELS and chosen not in options and not run.info.is_ours:
        st.info(no_rates(run.info))
    elif chosen == _ALPHA and chosen not in options:
        st.info(NO_ALPHA)
    elif chosen is not None and chosen not in options:
        say_error(f"This run has no cell column {chosen!r}. Choose a colour from the list.")
    shown = chosen if chosen in options else options[0]
    labels = box_labels(options, color_label)
    st.selectbox(label, options, format_func=labels.__getitem__, **session.linked("color", shown))
    return shown


def color_label(color: str) -> str:
    """Label of a colouring on pages."""
    return LABELS.get(color, color)


def color_options(run: Run) -> list[str]:
    """The shown groups, the run's own and those made by hand, then scores, gene values, and other columns of ``obs``."""
    obs = run.obs
    layers = run.layers
    of_genes = [LIST_SCORE] if session.gene_list() else []
    of_genes += [
        key for key, layer in GENE_LAYERS.items() if layer in layers and (key != _ALPHA or run.has_alpha)
    ]
    groups = dict.fromkeys([shown_key(run), run.info.cluster_key, *by_hand(run)])
    first = [*groups, *(key for key in LABELS if (key in obs or key in of_genes) and key not in groups)]
    others = [key for key in obs.columns if key not in first and _can_color(obs[key])]
    return [*first, *others]


def color_values(run: Run, color: str, *, gene: str) -> pd.Series:
    """One value per cell, categorical for groups and numeric for scores and genes; named by its label."""
    if color == LIST_SCORE:
        found = chosen_list()
        if found is None:
            msg = "No gene list is chosen. Paste several genes into the gene box, or choose a list beside it."
            raise InputError(msg)
        score = cached.gene_list_score(run.info.run_id, found.list_id)
        return pd.Series(score, index=run.obs.index, name=found.name)
    if color in GENE_LAYERS:
        values = cached.gene_values(run.info.run_id, GENE_LAYERS[color], gene)
        return pd.Series(values, index=run.obs.index, name=gene)
    if color not in run.obs:
        return pd.Series(groups_of(run, color).names, index=run.obs.index, name=color, dtype="category")
    values = run.obs[color]
    if color == keys.UNDECIDED and has_probability(run):
        values = values.map({False: "decided", True: "undecided"})
    if not is_numeric_dtype(values) or is_bool_dtype(values):
        values = values.astype("category")
    return values.rename(color_label(color))


def palette(run: Run, color: str, groups: np.ndarray) -> dict[str, str]:
    """Colour of each group of a colouring, in their order."""
    if color in run.obs:
        return theme.group_colors(groups, run.uns_colors(color))
    return groups_of(run, color).colors


def _can_color(values: pd.Series) -> bool:
    if is_numeric_dtype(values):
        return True
    return 1 < values.nunique() <= MAX_GROUPS
