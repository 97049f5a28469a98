"""The boundaries between groups that a visit chose to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import session
from deepvelo.errors import InputError
from deepvelo.io.runs import Run

if TYPE_CHECKING:
    from deepvelo.evaluation.compare import Edge


def boundary_key(base: Run) -> str:
    """Session key of the boundaries, one for each data set and grouping."""
    return f"compare.edges.{base.info.data_hash}.{base.info.cluster_key}"


def chosen_boundaries(base: Run) -> tuple[Edge, ...]:
    """The boundaries chosen on Compare, or those known of the tissue; invalid ones are left out."""
    from deepvelo.evaluation.compare import default_edges, parse_edges

    groups = sorted(set(base.obs[base.info.cluster_key].astype(str)))
    chosen = session.widget_value(boundary_key(base))
    if chosen is None:
        return tuple(default_edges(groups))
    edges: list[Edge] = []
    for text in chosen:
        try:
            edges += parse_edges([text], groups=groups)
        except InputError:  # shown at the box where it was typed
            continue
    return tuple(dict.fromkeys(edges))
