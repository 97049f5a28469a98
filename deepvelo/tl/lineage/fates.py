"""Terminal states, and every cell's fate probabilities (CellRank; Cui et al. 2022, section 3.3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from deepvelo import checks, choices
from deepvelo.contents.groups import group_names
from deepvelo.errors import InputError
from deepvelo.tl.graph.transitions import transition_matrix
from deepvelo.tl.lineage.absorption import absorption
from deepvelo.tl.lineage.flow_time import connected_parts
from deepvelo.tl.lineage.macrostates import MOST_STATES, SMALLEST_STATE, evenness, macrostates
from deepvelo.tl.lineage.terminal_states import find_ends
from deepvelo.wording import decimal, listed, number

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Measured on simulated tissue: cycles 0.88 and above, whatever ends somewhere below 0.3, types at steady state up to 0.7.
EVEN: Final = 0.8
# Steps to an end; simulated tissue whose ends are all known has at most 100.
_LONG: Final = 1e5


@dataclass(frozen=True, kw_only=True)
class Fates:
    """What `fates` finds, for the cells of one run."""

    macrostates: pd.Series
    """Categorical by cell: the state that it stands for, NaN for most."""
    states: pd.DataFrame
    """Indexed by macrostate: ``group`` it lies in, ``share`` of its cells in it, ``n_cells``, ``stability`` (NaN for
    a group chosen by hand), ``part`` of the data, from 0, and whether it is ``terminal``."""
    terminal: list[str]
    """Groups that cells end in, in the grouping's order: the lineages' names."""
    probabilities: pd.DataFrame
    """Cells x terminal groups; each row sums to 1, or is NaN where no end can be reached."""
    steps: pd.Series
    """Mean number of steps until a cell reaches any end; NaN where none can be reached."""
    parts: pd.Series
    """Which part of the data a cell is in, 0 the largest; parts share no neighbours."""
    warnings: list[str] = field(default_factory=list)


def fates(
    adata: AnnData,
    *,
    cluster_key: str | None = None,
    terminal: Sequence[str] | None = None,
    n_states: int | None = None,
    weight_connectivities: float = 0.2,
    stability: float = 0.96,
    seed: int = 0,
) -> Fates:
    """Terminal states and the probability with which each cell ends in them, by CellRank's Markov chain.

    Parts of the data that share no neighbours are analysed each by itself: nothing leads from one into another.
    Terminal states are named after the group most of their cells lie in; states in one group are one.

    Parameters
    ----------
    adata
        A run of any method; not changed. See `transition_matrix`.
    cluster_key
        Grouping in ``obs``, of at least two groups. By default the one that `deepvelo.pp.moments` chose.
    terminal
        Groups that cells end in, with all their cells; by default those of the macrostates that are stable enough.
    n_states
        Number of macrostates in each part, 1 to 50; by default as many as there are slow movements.
    weight_connectivities
        Share of the chain that follows the neighbours alone, 0 to below 1.
    stability
        A macrostate is terminal if a step from it ends in it with this probability or more, 0 to 1.
    seed
        The same seed gives the same fates.

    Raises
    ------
    InputError
        The run or the grouping cannot be used, a chosen group is unknown or has fewer than 3 cells, a setting is
        out of range, or no terminal state is found.

    Examples
    --------
    >>> found = dv.tl.fates(fitted, cluster_key="clusters", terminal=["Stage 4"])
    >>> found.probabilities.shape
    (80, 1)
    """
    cluster_key = choices.grouping(adata, cluster_key)
    checks.require_grouping(adata, cluster_key)
    _require_settings(n_states=n_states, stability=stability)
    groups = group_names(adata.obs[cluster_key])
    _, terminal = find_ends(groups, root=None, terminal=terminal)
    matrix = transition_matrix(adata, weight_connectivities=weight_connectivities)
    parts = connected_parts(matrix)
    warnings = []
    if parts.any():
        warnings.append(
            f"The data fall into {parts.max() + 1} parts that share no neighbours: fates are found in each by itself, and "
            "the probability of an end in another part is 0."
        )
    if terminal is None:
        table, members = _found_states(matrix, parts, groups, n_states=n_states, seed=seed)
        table["terminal"] &= table["stability"] >= stability
        _require_terminal(table, stability=stability)
    else:
        table, members = _chosen_states(parts, groups, list(dict.fromkeys(terminal)))
    ends = table["group"].where(table["terminal"])
    names = [name for name in groups.cat.categories if (ends == name).any()]
    end = np.full(adata.n_obs, -1)
    for state, cells in members.items():
        if table.loc[state, "terminal"]:
            end[cells] = names.index(str(ends[state]))
    probabilities, steps = absorption(matrix, parts, end, n_ends=len(names))
    warnings += _part_warnings(parts, groups, end, names)
    warnings += _trap_warning(groups, steps)
    return Fates(
        macrostates=_assignment(members, adata.obs_names),
        states=table,
        terminal=names,
        probabilities=pd.DataFrame(probabilities, index=adata.obs_names, columns=names),
        steps=pd.Series(steps, index=adata.obs_names, name="steps"),
        parts=pd.Series(parts, index=adata.obs_names, name="part"),
        warnings=warnings,
    )


def _require_settings(*, n_states: int | None, stability: float) -> None:
    if n_states is not None and not 1 <= n_states <= MOST_STATES:
        msg = f"`n_states` must be from 1 to {MOST_STATES}. Got {n_states}. Leave it out to have it found."
        raise InputError(msg)
    if not 0 <= stability <= 1:
        msg = f"`stability` must be from 0 to 1. Got {stability}. Try 0.96."
        raise InputError(msg)


def _found_states(
    matrix: csr_matrix, parts: np.ndarray, groups: pd.Series, *, n_states: int | None, seed: int
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Macrostates of every part; ``terminal`` is False where the part has no end, whatever its states."""
    rows: list[dict[str, object]] = []
    members: dict[str, np.ndarray] = {}
    for part in range(parts.max() + 1):
        cells = np.flatnonzero(parts == part)
        chain = matrix[cells][:, cells]
        # A walk that comes by all groups alike goes round, or nowhere.
        several = (groups.iloc[cells].value_counts() >= SMALLEST_STATE).sum() > 1
        ends = len(cells) >= SMALLEST_STATE and not (several and evenness(chain, seed=seed) > EVEN)
        for state in macrostates(chain, n_states=n_states, seed=seed):
            own = cells[state.cells]
            sizes = groups.iloc[own].value_counts(sort=False)
            if not sizes.sum():  # cells without a group only
                continue
            group = str(sizes.idxmax())
            tries = itertools.chain([group], (f"{group} {n}" for n in itertools.count(2)))
            name = next(text for text in tries if text not in members)  # another group may be called so
            members[name] = own
            rows.append(
                {
                    "state": name,
                    "group": group,
                    "share": sizes.max() / len(own),
                    "n_cells": len(own),
                    "stability": state.stability,
                    "part": part,
                    "terminal": ends,
                }
            )
    columns = ["state", "group", "share", "n_cells", "stability", "part", "terminal"]
    return pd.DataFrame(rows, columns=columns).set_index("state"), members


def _chosen_states(
    parts: np.ndarray, groups: pd.Series, chosen: list[str]
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    members = {name: np.flatnonzero(groups == name) for name in chosen}
    table = pd.DataFrame(
        {
            "group": chosen,
            "share": 1.0,
            "n_cells": [len(cells) for cells in members.values()],
            "stability": np.nan,
            "part": [int(np.bincount(parts[cells]).argmax()) for cells in members.values()],
            "terminal": True,
        },
        index=pd.Index(chosen, name="state"),
    )
    return table, members


def _require_terminal(table: pd.DataFrame, *, stability: float) -> None:
    if table["terminal"].any():
        return
    if table.empty:
        msg = "No end was found: no cell of a macrostate has a group. Name the groups of more cells."
        raise InputError(msg)
    best = table["stability"].idxmax()
    if table.loc[best, "stability"] >= stability:
        found = (
            "walks along the velocities visit all groups alike, as in a cycle or in tissue at steady state"
        )
        remedy = "Choose the ends by hand"
    else:
        found = f"the most stable of {number(len(table), 'macrostate')}, '{best}', keeps {decimal(table.loc[best, 'stability'])} of its steps, and {stability:g} is asked for"
        remedy = "Choose the ends by hand, lower `stability`, or ask for another `n_states`"
    msg = f"No end was found: {found}. {remedy}."
    raise InputError(msg)


def _part_warnings(parts: np.ndarray, groups: pd.Series, end: np.ndarray, names: list[str]) -> list[str]:
    """Which parts have no end, and which have only one."""
    found = []
    without = np.zeros(len(groups), dtype=bool)
    for part in range(parts.max() + 1):
        inside = parts == part
        ends = [names[number] for number in np.unique(end[inside & (end >= 0)])]
        if not ends:
            without |= inside
        elif len(ends) == 1 and inside.all():
            found.append(
                f"Cells can end in '{ends[0]}' only, so every fate is certain; choose the ends by hand if there are others."
            )
    if without.any():
        where = listed([str(name) for name in groups[without].cat.remove_unused_categories().cat.categories])
        found.append(
            f"No end was found for {number(int(without.sum()), 'cell')} ({where}): their fates are unknown."
        )
    return found


def _trap_warning(groups: pd.Series, steps: np.ndarray) -> list[str]:
    """Which groups' cells hardly ever leave for an end that was chosen."""
    shares = pd.Series(steps > _LONG, index=groups.index).groupby(groups, observed=True).mean()
    held = [str(name) for name in shares.index[shares > 0.5]]
    if not held:
        return []
    return [
        f"Cells of {listed(held)} practically never come to an end. If some of these groups are ends too, "
        "choose them as well; until then nothing about their cells is to be relied on."
    ]


def _assignment(members: dict[str, np.ndarray], cells: pd.Index) -> pd.Series:
    codes = np.full(len(cells), -1)
    for number_, own in enumerate(members.values()):
        codes[own] = number_
    return pd.Series(pd.Categorical.from_codes(codes, categories=list(members)), index=cells)
