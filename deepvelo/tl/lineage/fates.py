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

# Simulated tissue: cycles 0.88 and above, lineages with terminal states below 0.3, steady-state types up to 0.7.
EVEN: Final = 0.8
# Steps to a terminal state; at most 100 in simulated tissue where all terminal states are given.
_LONG: Final = 1e5


@dataclass(frozen=True, kw_only=True)
class Fates:
    """Terminal states and fate probabilities of the cells of one run, as `fates` returns them."""

    macrostates: pd.Series
    """Categorical by cell: the macrostate that the cell represents, NaN for most cells."""
    states: pd.DataFrame
    """Indexed by macrostate: ``group`` with most of its cells, ``share`` of its cells in that group, ``n_cells``,
    ``stability`` (NaN for a group chosen by hand), ``part`` (connected component, from 0), and ``terminal`` (bool)."""
    terminal: list[str]
    """Terminal groups in the grouping's order; they name the lineages."""
    probabilities: pd.DataFrame
    """Cells x terminal groups; each row sums to 1, or is NaN if no terminal state can be reached."""
    steps: pd.Series
    """Mean number of steps until a cell reaches any terminal state; NaN if none can be reached."""
    parts: pd.Series
    """Connected component of each cell in the neighbour graph, 0 the largest."""
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
    """Compute terminal states and each cell's probability of reaching them, with CellRank's Markov chain.

    Connected components of the neighbour graph are analysed separately. Terminal states are named after the group with
    most of their cells; states of the same group are merged.

    Parameters
    ----------
    adata
        A run of any method; not changed. See `transition_matrix`.
    cluster_key
        Grouping in ``obs``, of at least two groups. By default the one that `deepvelo.pp.moments` chose.
    terminal
        Terminal groups, with all their cells; by default the groups of the stable macrostates.
    n_states
        Number of macrostates in each connected component, 1 to 50; by default the number of slow modes of the chain.
    weight_connectivities
        Weight of the neighbour graph in the transition matrix, from 0 to below 1; the rest follows velocities.
    stability
        Minimum probability of a step from a terminal macrostate to stay in it, 0 to 1.
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
            f"The neighbour graph has {parts.max() + 1} connected components. Fates are computed in each separately: the "
            "probability of a terminal state in another component is 0."
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
        msg = f"`n_states` must be from 1 to {MOST_STATES}. Got {n_states}. Leave it out to choose it automatically."
        raise InputError(msg)
    if not 0 <= stability <= 1:
        msg = f"`stability` must be from 0 to 1. Got {stability}. Try 0.96."
        raise InputError(msg)


def _found_states(
    matrix: csr_matrix, parts: np.ndarray, groups: pd.Series, *, n_states: int | None, seed: int
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Macrostates of every connected component; ``terminal`` is False in components without a terminal state."""
    rows: list[dict[str, object]] = []
    members: dict[str, np.ndarray] = {}
    for part in range(parts.max() + 1):
        cells = np.flatnonzero(parts == part)
        chain = matrix[cells][:, cells]
        # A random walk that visits all groups evenly is cyclic or at steady state.
        several = (groups.iloc[cells].value_counts() >= SMALLEST_STATE).sum() > 1
        ends = len(cells) >= SMALLEST_STATE and not (several and evenness(chain, seed=seed) > EVEN)
        for state in macrostates(chain, n_states=n_states, seed=seed):
            own = cells[state.cells]
            sizes = groups.iloc[own].value_counts(sort=False)
            if not sizes.sum():  # only cells without a group
                continue
            group = str(sizes.idxmax())
            tries = itertools.chain([group], (f"{group} {n}" for n in itertools.count(2)))
            name = next(text for text in tries if text not in members)  # another group may have this name
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
        msg = "No terminal state was found: no cell of a macrostate has a group. Assign more cells to groups."
        raise InputError(msg)
    best = table["stability"].idxmax()
    if table.loc[best, "stability"] >= stability:
        found = "random walks along the velocities visit all groups evenly, as in a cycle or at steady state"
        remedy = "Choose terminal states by hand"
    else:
        found = f"the most stable of {number(len(table), 'macrostate')}, '{best}', has a stability of {decimal(table.loc[best, 'stability'])}, below the required {stability:g}"
        remedy = "Choose terminal states by hand, lower `stability`, or set another `n_states`"
    msg = f"No terminal state was found: {found}. {remedy}."
    raise InputError(msg)


def _part_warnings(parts: np.ndarray, groups: pd.Series, end: np.ndarray, names: list[str]) -> list[str]:
    """Warnings about connected components with no terminal state or only one."""
    found = []
    without = np.zeros(len(groups), dtype=bool)
    for part in range(parts.max() + 1):
        inside = parts == part
        ends = [names[number] for number in np.unique(end[inside & (end >= 0)])]
        if not ends:
            without |= inside
        elif len(ends) == 1 and inside.all():
            found.append(
                f"'{ends[0]}' is the only terminal state, so every fate probability is 1. Choose terminal states by hand if there are others."
            )
    if without.any():
        where = listed([str(name) for name in groups[without].cat.remove_unused_categories().cat.categories])
        found.append(
            f"No terminal state was found for {number(int(without.sum()), 'cell')} ({where}): their fates are unknown."
        )
    return found


def _trap_warning(groups: pd.Series, steps: np.ndarray) -> list[str]:
    """Warning about groups whose cells hardly ever reach a chosen terminal state."""
    shares = pd.Series(steps > _LONG, index=groups.index).groupby(groups, observed=True).mean()
    held = [str(name) for name in shares.index[shares > 0.5]]
    if not held:
        return []
    return [
        f"Cells of {listed(held)} practically never reach a terminal state. If some of these groups are terminal too, "
        "choose them as well; until then, the fates of these cells are unreliable."
    ]


def _assignment(members: dict[str, np.ndarray], cells: pd.Index) -> pd.Series:
    codes = np.full(len(cells), -1)
    for number_, own in enumerate(members.values()):
        codes[own] = number_
    return pd.Series(pd.Categorical.from_codes(codes, categories=list(members)), index=cells)
