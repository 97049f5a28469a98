"""What tools call the layers of counts, moments and velocities."""

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
"""What velocyto, kb, alevin-fry, dropEst, dynamo and others call a layer, without case and separators."""
_STANDARD = {alias: standard for standard, aliases in ALIASES.items() for alias in aliases}
# Words around a name that say nothing about which counts they are: `X_spliced`, `counts_spliced`, `unspliced_umi`.
_FILLERS = frozenset(
    ("x", "count", "counts", "raw", "layer", "matrix", "umi", "umis", "reads", "rna", "assay")
)


def standard_name(name: str) -> str | None:
    """The standard layer that a name stands for, whatever its case, separators and words around it."""
    words = _words(name)
    return _STANDARD.get("".join(words)) or _STANDARD.get("".join(w for w in words if w not in _FILLERS))


def standard_layers(names: Iterable[str]) -> dict[str, str]:
    """Which names stand for a standard layer and are to be renamed, ``{name: standard name}``.

    Of several names for the same layer the one with the fewest words is taken, and none where the standard name is
    there already. ``Ms`` and ``Mu`` are found only together: ``mu`` alone is many tools' mean.
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
