"""Where the user says that time begins and ends: arrows across these borders are turned to agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.errors import InputError
from deepvelo.wording import listed, number

LEAST_CELLS = 3  # of a terminal group: fewer have no fate of their own


def require_ends(groups: pd.Series, *, root: str | None, terminal: Sequence[str] | None) -> None:
    """Raise an `InputError` unless root and terminal are different groups, and terminal ones of at least 3 cells."""
    sizes = groups.value_counts()
    known = [str(group) for group in groups.cat.categories]
    if isinstance(terminal, str) or (terminal is not None and not terminal):
        msg = f"`terminal` must be a list of one or more groups. Got {terminal!r}. Leave it out to have them found."
        raise InputError(msg)
    chosen = {"root": [] if root is None else [root], "terminal": list(terminal or [])}
    for role, names in chosen.items():
        for name in names:
            if name not in known:
                msg = f"The {role} group '{name}' is not in these data. Found {listed(known)}. Choose one of them."
                raise InputError(msg)
    if root is not None and root in chosen["terminal"]:
        msg = f"'{root}' is chosen as root and as terminal group. Choose another for one of them."
        raise InputError(msg)
    for name in chosen["terminal"]:
        if sizes[name] < LEAST_CELLS:
            msg = (
                f"The terminal group '{name}' has {number(int(sizes[name]), 'cell')}, and {LEAST_CELLS} are needed. "
                "Choose another, or leave it out."
            )
            raise InputError(msg)


def with_ends(
    cosines: sp.csr_matrix, groups: pd.Series, *, root: str | None, terminal: Sequence[str] | None
) -> tuple[sp.csr_matrix, list[str]]:
    """Arrows that all leave the root and all enter the terminal groups; what contradicts that.

    The sign of an arrow across one of these borders is set, its size is kept. Where the arrows across a group's
    border point the other way on average, those inside it are turned round too: they say the same wrong thing, and
    are more. Other arrows stay as they are, also those between two terminal groups.

    Parameters
    ----------
    cosines
        Arrows from cell to cell, ``(n_cells, n_cells)``, as in `deepvelo.tl.flow_time`.
    groups
        Group of every cell, ``(n_cells,)``.

    Returns
    -------
    ``cosines`` with these signs, and a warning for each group whose arrows were turned round.
    """
    arrows = cosines.tocoo()
    names = groups.astype(str).to_numpy()
    source, target = names[arrows.row], names[arrows.col]
    data = arrows.data.copy()
    # Outward of a root and inward of an end are the same rule with the ends of the arrow exchanged.
    ends = list(terminal or [])
    chosen = [(end, ends, target, source, "a terminal group", "out of") for end in ends]
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
                "are turned round, against the velocities."
            )
        data[along] = np.abs(arrows.data[along])
        data[against] = -np.abs(arrows.data[against])
    return sp.csr_matrix((data, (arrows.row, arrows.col)), shape=arrows.shape), warnings
