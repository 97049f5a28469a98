"""The tissues that can be simulated: which lineages there are, which stages they pass, how many cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["dentate", "linear", "branching", "static"]


@dataclass(frozen=True)
class Stage:
    """Cells of one group: a stretch of time on a lineage.

    Stages of one lineage may overlap in time, so that neighbouring groups blend as in real tissue.
    """

    name: str
    weight: float
    """Share of the tissue's cells, relative to the other stages."""
    time: tuple[float, float]
    """Earliest and latest time of its cells; they are spread evenly between."""
    color: str


@dataclass(frozen=True)
class Lineage:
    """One path in time on which every gene has its own rates.

    A lineage without parent starts at ``start`` with every gene at its steady state; one with a parent
    starts there with the parent's unspliced and spliced RNA.
    """

    name: str
    family: str
    """Lineages of one family resemble each other in the level of their genes."""
    stages: tuple[Stage, ...]
    dynamic: float
    """Share of genes whose transcription switches while the lineage runs; 0 leaves everything at rest."""
    retains: float = 0.5
    """Chance that a gene with rates of its own here keeps more RNA unspliced than elsewhere, not less."""
    parent: str | None = None
    start: float = 0.0

    @property
    def end(self) -> float:
        """The time of its last cell."""
        return max(stage.time[1] for stage in self.stages)


@dataclass(frozen=True)
class Tissue:
    """Lineages whose cells lie in one data set; parents come before their children."""

    lineages: tuple[Lineage, ...]
    rates_differ: float = 0.0
    """Share of genes with their own beta and gamma in some of the lineages."""
    showcase: bool = False
    """Make the first gene the showcase ``SimTmsb10``; asks for lineages ``Granule`` and ``Endothelial``."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage, lineage by lineage."""
        return tuple(stage for lineage in self.lineages for stage in lineage.stages)


def _single(
    name: str, family: str, weight: float, color: str, *, dynamic: float = 0.2, retains: float = 0.5
) -> Lineage:
    """A cell type of its own: one stage of a short maturation, first switches already behind it."""
    return Lineage(name, family, (Stage(name, weight, (1.0, 4.0), color),), dynamic=dynamic, retains=retains)


# Group names and numbers of cells as in the mouse dentate gyrus of Hochgerner et al. 2018
# (scvelo.datasets.dentategyrus); everything else about them is made up.
# The fourteen colours keep at least 16 units of CIELAB apart for red-, green- and blue-blind eyes too, and
# stand out from white and from the dark theme.
_DENTATE: Final = Tissue(
    lineages=(
        Lineage(
            "Granule",
            "neuron",
            (
                Stage("nIPC", 24, (0.6, 2.2), "#b4c33c"),
                Stage("Neuroblast", 560, (1.7, 5.0), "#ff8778"),
                Stage("Granule immature", 991, (4.5, 9.0), "#e13c78"),
                Stage("Granule mature", 1086, (8.4, 13.5), "#a52d0f"),
            ),
            dynamic=0.7,
        ),
        Lineage(
            "Oligodendrocyte",
            "glia",
            (Stage("OPC", 60, (0.8, 4.6), "#0087d2"), Stage("OL", 55, (4.2, 8.0), "#4b4bb4")),
            dynamic=0.6,
            retains=0.9,
        ),
        Lineage(
            "Astrocyte",
            "glia",
            (
                Stage("Radial Glia-like", 50, (0.8, 2.6), "#5ad296"),
                Stage("Astrocytes", 204, (2.2, 5.0), "#00693c"),
            ),
            dynamic=0.4,
            retains=0.6,
        ),
        _single("Microglia", "immune", 105, "#789696", retains=0.1),
        _single("Endothelial", "vessel", 99, "#b47800", dynamic=0.3, retains=0.3),
        _single("Mossy", "neuron", 75, "#ff96f0"),
        _single("GABA", "neuron", 67, "#873c78", retains=0.6),
        _single("Cajal Retzius", "neuron", 40, "#e1b4d2", retains=0.4),
        _single("Cck-Tox", "neuron", 30, "#87874b", retains=0.8),
    ),
    rates_differ=0.2,
    showcase=True,
)

_LINEAR: Final = Tissue(
    lineages=(
        Lineage(
            "Main",
            "main",
            (
                Stage("Stage 1", 1, (0.5, 3.6), "#56b4e9"),
                Stage("Stage 2", 1, (3.2, 6.6), "#0072b2"),
                Stage("Stage 3", 1, (6.2, 9.6), "#e69f00"),
                Stage("Stage 4", 1, (9.2, 12.5), "#d55e00"),
            ),
            dynamic=0.6,
        ),
    ),
)

_BRANCHING: Final = Tissue(
    lineages=(
        Lineage("Root", "main", (Stage("Root", 1, (0.5, 4.0), "#8c8c8c"),), dynamic=0.4),
        Lineage(
            "Branch A",
            "main",
            (Stage("Early A", 1, (4.0, 7.4), "#56b4e9"), Stage("Tip A", 1, (7.0, 11.0), "#0072b2")),
            dynamic=0.5,
            parent="Root",
            start=4.0,
        ),
        Lineage(
            "Branch B",
            "main",
            (Stage("Early B", 1, (4.0, 7.4), "#e69f00"), Stage("Tip B", 1, (7.0, 11.0), "#d55e00")),
            dynamic=0.5,
            parent="Root",
            start=4.0,
        ),
    ),
    rates_differ=0.25,
)

_STATIC: Final = Tissue(
    lineages=(
        _single("Type 1", "first", 5, "#0072b2", dynamic=0.0),
        _single("Type 2", "first", 4, "#56b4e9", dynamic=0.0),
        _single("Type 3", "second", 3, "#d55e00", dynamic=0.0),
        _single("Type 4", "second", 2, "#e69f00", dynamic=0.0),
        _single("Type 5", "third", 1, "#009e73", dynamic=0.0),
    ),
)

TISSUES: Final[dict[Kind, Tissue]] = {
    "dentate": _DENTATE,
    "linear": _LINEAR,
    "branching": _BRANCHING,
    "static": _STATIC,
}
