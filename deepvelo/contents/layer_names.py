"""Standard names for the layers of counts, moments and velocities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from deepvelo import keys

AMBIGUOUS: Final = "ambiguous"
COUNTS: Final = (keys.SPLICED, keys.UNSPLICED)
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    keys.SPLICED: ("spliced", "mature", "exon", "exons", "exonic"),
    keys.UNSPLICED: ("unspliced", "nascent", "intron", "introns", "intronic", "premature", "premrna"),
    AMBIGUOUS: ("ambiguous", "spanning"),
    keys.MS: ("ms",),
    keys.MU: ("mu",),
    keys.VELOCITY: ("velocity", "velocitys"),
    keys.VELOCITY_U: ("velocityu",),
}
"""Names of layers in velocyto, kb, alevin-fry, dropEst, dynamo and others, without case and separators."""
_STANDARD = {alias: standard for standard, aliases in ALIASES.items() for alias in aliases}
# Words that do not identify the kind of counts: `X_spliced`, `counts_spliced`, `unspliced_umi`.
_FILLERS = frozenset(
    ("x", "count", "counts", "raw", "layer", "matrix", "umi", "umis", "reads", "rna", "assay")
)


def standard_name(name: str) -> str | None:
    """The standard layer for a name, ignoring case, separators and filler words."""
    words = _words(name)
    return _STANDARD.get("".join(words)) or _STANDARD.get("".join(w for w in words if w not in _FILLERS))


def standard_layers(names: Iterable[str]) -> dict[str, str]:
    """Names to be renamed to standard layers, ``{name: standard name}``.

    Among several names for a layer, the one with the fewest words is used, and none if the standard name exists. ``Ms``
    and ``Mu`` are recognised only together, because many tools store a mean as ``mu``.
    """
    names = list(names)
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: len(_words(name))):
        standard = standard_name(name)
        if standard is not None and standard not in names:
            found.setdefault(standard, name)
    moments = {keys.MS, keys.MU}
    if not moments <= {*found, *names}:
        found = {standard: name for standard, name in found.items() if standard not in moments}
    return {name: standard for standard, name in found.items()}


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
