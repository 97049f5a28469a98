"""The groups that pages show: the run's own, another column of its annotation, or a grouping made by hand.

Scores, boundaries and lineages are computed with the run's own groups, whatever is shown.
"""

from __future__ import annotations

import numpy as np

from app import session
from app.shared import cached
from app.shared.cached import Groups
from app.shared.text import with_labels
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.selections import SavedGrouping
from deepvelo.wording import listed


def groups_and_colors(run: Run) -> tuple[np.ndarray, dict[str, str]]:
    """Shown group of each cell, and the colour of each group in their order; hidden groups are grey."""
    shown = shown_groups(run)
    return shown.names, shown.colors


def own_groups_and_colors(run: Run) -> tuple[np.ndarray, dict[str, str]]:
    """The same of the groups that the run was computed with."""
    own = groups_of(run, run.info.cluster_key)
    return own.names, own.colors


def shown_groups(run: Run) -> Groups:
    """The chosen grouping of the cells."""
    return groups_of(run, shown_key(run))


def groups_of(run: Run, key: str) -> Groups:
    """A grouping by its column in ``obs`` or, made by hand, by its name.

    Raises
    ------
    InputError
        The grouping was deleted or is damaged.
    """
    if key in run.obs:
        return cached.groups(run.info.run_id, key)
    return cached.groups_by_hand(run.info.run_id, grouping_by_hand(run, key))


def shown_key(run: Run) -> str:
    """Name of the chosen grouping, the run's own if it lacks the chosen one."""
    chosen = session.groups()
    return chosen if chosen is not None and has_grouping(run, chosen) else run.info.cluster_key


def has_grouping(run: Run, key: str) -> bool:
    """Whether the cells of a run can be shown by this grouping."""
    return key in cached.groupings_of_obs(run.info.run_id) or key in by_hand(run)


def grouping_options(run: Run) -> list[str]:
    """All groupings: the run's own, those made by hand, other columns."""
    own = run.info.cluster_key
    return [own, *by_hand(run), *(key for key in cached.groupings_of_obs(run.info.run_id) if key != own)]


def by_hand(run: Run) -> dict[str, SavedGrouping]:
    """Groupings made by hand by name, oldest first, without those whose name is a column of this run."""
    return {saved.name: saved for saved in cached.groupings(run) if saved.name not in run.obs}


def grouping_by_hand(run: Run, name: str) -> SavedGrouping:
    """A grouping made by hand by its name.

    Raises
    ------
    InputError
        The grouping was deleted or renamed.
    """
    found = by_hand(run).get(name)
    if found is None:
        msg = f"The grouping {listed([name])} was deleted or renamed. Choose another."
        raise InputError(msg)
    return found


def visible_groups(run: Run) -> list[str] | None:
    """The shown groups without the hidden ones; None if none is hidden."""
    shown = shown_groups(run)
    return [name for name in shown.colors if name not in shown.hidden] if shown.hidden else None


def show_groups(run: Run, key: str) -> None:
    """Show another grouping; maps coloured by the groups that were shown before follow."""
    if session.color() == shown_key(run):
        session.set_color(None)
    session.set_groups(None if key == run.info.cluster_key else key)


def own_in_words(run: Run) -> str:
    """Caption of what was computed with other groups than the shown ones; empty if they are the run's own."""
    own, shown = run.info.cluster_key, shown_key(run)
    return (
        ""
        if shown == own
        else with_labels(f"Computed with the run's own groups '{own}', not with '{shown}'.")
    )
