"""Edges between groups of cells, along which cross-boundary direction correctness is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from deepvelo.contents.groups import find_group
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
    """The edges of the granule lineage whose groups exist."""
    known = set(groups)
    return [edge for edge in GRANULE_EDGES if known.issuperset(edge)]


def parse_edges(texts: Iterable[str], *, groups: Sequence[str]) -> list[Edge]:
    """Parse edges from text such as ``A > B, B > C``.

    Group names may contain ``>`` and commas: a text is split where both sides are groups. Blanks around names are
    ignored, see `deepvelo.contents.groups.find_group`.

    Raises
    ------
    InputError
        A text is not an edge between two groups, or can be split in several ways.
    """
    edges: list[Edge] = []
    for text in texts:
        readings = _readings(text.split(","), groups)
        if len(readings) > 1:
            told = " or ".join(_in_words(reading) for reading in readings[:2])
            msg = f"{text.strip()!r} can be read as {told}. Rename a group, or choose other boundaries."
            raise InputError(msg)
        edges += readings[0] if readings else _as_written(text)
    require_edges(edges, groups=groups)
    return list(dict.fromkeys(edges))


def _readings(parts: list[str], groups: Sequence[str]) -> list[list[Edge]]:
    """Every way to join the parts again so that each is an edge between two groups."""
    if not any(part.strip() for part in parts):
        return [[]]
    found = []
    for n in range(1, len(parts) + 1):
        firsts = _edges_of(",".join(parts[:n]), groups)
        if firsts:
            rests = _readings(parts[n:], groups)
            found += [[first, *rest] for first in firsts for rest in rests]
    if not parts[0].strip():
        found += _readings(parts[1:], groups)
    return list({tuple(reading): reading for reading in found}.values())


def _edges_of(text: str, groups: Sequence[str]) -> list[Edge]:
    """Every edge that a text can mean, split at one of its ``>``."""
    pieces = text.split(">")
    sides = ((">".join(pieces[:n]), ">".join(pieces[n:])) for n in range(1, len(pieces)))
    named = ((find_group(source, groups), find_group(target, groups)) for source, target in sides)
    return [(source, target) for source, target in named if source is not None and target is not None]


def _as_written(text: str) -> list[Edge]:
    """Edges of a text with unknown group names, for the error message."""
    edges = []
    parts = [text] if text.count(">") == 1 else text.split(",")
    for part in filter(str.strip, parts):
        names = [name.strip() for name in part.split(">")]
        if len(names) != 2 or not all(names):
            msg = f"A boundary is written 'source > target'. Got {part.strip()!r}. Write one '>' between two groups."
            raise InputError(msg)
        edges.append((names[0], names[1]))
    return edges


def _in_words(edges: Iterable[Edge]) -> str:
    return " and ".join(f"from '{source}' to '{target}'" for source, target in edges)


def require_edges(edges: Iterable[Edge], *, groups: Sequence[str]) -> None:
    """Raise an `InputError` if an edge names an unknown group or the same group twice."""
    for source, target in edges:
        unknown = [name for name in (source, target) if name not in groups]
        if unknown:
            msg = f"There is no group {listed(unknown)}. Found {listed(groups)}. Choose source and target among them."
            raise InputError(msg)
        if source == target:
            msg = f"A boundary leads from one group to another. Got '{source}' twice. Choose another target."
            raise InputError(msg)
