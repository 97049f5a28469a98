"""Which group of cells becomes which: what boundary scores are measured against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from deepvelo.errors import InputError
from deepvelo.wording import listed

Edge = tuple[str, str]
"""Source and target group."""

# Known from the biology: Hochgerner et al. 2018, Nature Neuroscience 21:290.
GRANULE_EDGES: Final[tuple[Edge, ...]] = (
    ("Neuroblast", "Granule immature"),
    ("Granule immature", "Granule mature"),
)


def edge_name(edge: Edge) -> str:
    """``A > B``."""
    return " > ".join(edge)


def default_edges(groups: Iterable[str]) -> list[Edge]:
    """The granule lineage's edges, as far as its groups are there."""
    known = set(groups)
    return [edge for edge in GRANULE_EDGES if known.issuperset(edge)]


def parse_edges(texts: Iterable[str], *, groups: Sequence[str]) -> list[Edge]:
    """Edges from text: ``A > B``, several separated by commas.

    Raises
    ------
    InputError
        A text without one ``>``, or with a group that is not there.
    """
    edges: list[Edge] = []
    for text in texts:
        # A group's name may hold a comma itself.
        whole = tuple(part.strip() for part in text.split(">"))
        parts = [text] if set(groups).issuperset(whole) else text.split(",")
        for part in filter(str.strip, parts):
            names = [name.strip() for name in part.split(">")]
            if len(names) != 2 or not all(names):
                msg = f"A boundary is written 'source > target'. Got {part.strip()!r}. Write one '>' between two groups."
                raise InputError(msg)
            edges.append((names[0], names[1]))
    require_edges(edges, groups=groups)
    return list(dict.fromkeys(edges))


def require_edges(edges: Iterable[Edge], *, groups: Sequence[str]) -> None:
    """Raise an `InputError` naming the groups there are, if an edge names another, or the same twice."""
    for source, target in edges:
        unknown = [name for name in (source, target) if name not in groups]
        if unknown:
            msg = f"There is no group {listed(unknown)}. Found {listed(groups)}. Choose source and target among them."
            raise InputError(msg)
        if source == target:
            msg = f"A boundary leads from one group to another. Got '{source}' twice. Choose another target."
            raise InputError(msg)
