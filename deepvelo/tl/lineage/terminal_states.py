"""A chosen root and chosen terminal states: arrows across their borders are reversed to agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.contents.groups import find_group
from deepvelo.errors import InputError
from deepvelo.wording import listed, number

LEAST_CELLS = 3  # of a terminal state


def find_ends(
    groups: pd.Series, *, root: str | None, terminal: Sequence[str] | None
) -> tuple[str | None, list[str] | None]:
    """The chosen root and ends in the spelling of the data, see `deepvelo.contents.groups.find_group`.

    Raises
    ------
    InputError
        One is no group, root and ends are not different, or an end has fewer than 3 cells.
    """
    if isinstance(terminal, str) or (terminal is not None and not terminal):
        msg = f"`terminal` must be a list of one or more groups. Got {terminal!r}. Leave it out to have them found."
        raise InputError(msg)
    known = [str(group) for group in groups.cat.categories]
    first = None if root is None else _found(root, known, role="root")
    if terminal is None:
        return first, None
    ends = [_found(name, known, role="terminal state") for name in terminal]
    if first in ends:
        msg = f"'{first}' is chosen as root and as terminal state. Choose another for one of them."
        raise InputError(msg)
    sizes = groups.value_counts()
    for name in ends:
        if sizes[name] < LEAST_CELLS:
            msg = (
                f"'{name}', chosen as terminal state, has {number(int(sizes[name]), 'cell')}, and {LEAST_CELLS} are needed. "
                "Choose another, or leave it out."
            )
            raise InputError(msg)
    return first, ends


def _found(name: str, known: Sequence[str], *, role: str) -> str:
    found = find_group(name, known)
    if found is None:
        msg = f"There is no group '{name}', chosen as {role}, in these data. Found {listed(known)}. Choose one of them."
        raise InputError(msg)
    return found


def with_ends(
    cosines: sp.csr_matrix, groups: pd.Series, *, root: str | None, terminal: Sequence[str] | None
) -> tuple[sp.csr_matrix, list[str]]:
    """Make all arrows leave the root and enter the terminal states; say what contradicts that.

    The sign of an arrow across one of these borders is set, its size is kept. Where the arrows across a group's
    border point the other way on average, those inside it are reversed too, since they follow the same wrong
    direction. Arrows between two ends are left out, since neither may leave its end; other arrows stay as they are.

    Parameters
    ----------
    cosines
        Arrows from cell to cell, ``(n_cells, n_cells)``, as in `deepvelo.tl.lineage.flow_time`.
    groups
        Group of every cell, ``(n_cells,)``.

    Returns
    -------
    ``cosines`` with these signs, and a warning for each group whose arrows were reversed, and for each end that
    only other ends' arrows led to.
    """
    arrows = cosines.tocoo()
    names = groups.astype(str).to_numpy()
    source, target = names[arrows.row], names[arrows.col]
    data = arrows.data.copy()
    # Out of a root and into an end are the same rule with source and target exchanged.
    ends = list(terminal or [])
    chosen = [(end, ends, target, source, "a terminal state", "out of") for end in ends]
    if root is not None:
        chosen.append((root, [root], source, target, "the root", "into"))
    warnings = []
    for group, same, here, there, role, wrongly in chosen:
        along = (here == group) & ~np.isin(there, same)
        against = (there == group) & ~np.isin(here, same)
        if arrows.data[along].sum() < arrows.data[against].sum():
            inside = (here == group) & (there == group)
            data[inside] = -arrows.data[inside]
            warnings.append(
                f"The arrows lead {wrongly} '{group}', which is chosen as {role}: those across its border and inside it "
                "are reversed, against the velocities."
            )
        data[along] = np.abs(arrows.data[along])
        data[against] = -np.abs(arrows.data[against])
    between = np.isin(source, ends) & np.isin(target, ends) & (source != target)
    data[between] = 0
    for end in ends:
        from_ends = (target == end) & between
        if from_ends.any() and not ((target == end) & ~np.isin(source, ends)).any():
            warnings.append(
                f"Nothing leads to '{end}' but arrows from other chosen terminal states, and no arrow may leave one: it is "
                "unconnected. Choose it or the others, not both."
            )
    kept = sp.csr_matrix((data, (arrows.row, arrows.col)), shape=arrows.shape)
    kept.eliminate_zeros()  # cells without an entry are no neighbours
    return kept, warnings
