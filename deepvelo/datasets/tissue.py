"""Definition of a simulated tissue: lineages, their stages, numbers of cells and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "dentate",
    "linear",
    "branch",
    "branch_rates",
    "boost",
    "cycle",
    "unrelated",
    "origins",
    "batches",
    "regulated",
    "factors",
    "static",
]
Process = Literal["switches", "network", "factors"]
Profile = Literal["even", "droplet"]


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
class Boost:
    """Transcription of some genes raised midway through a lineage, for good.

    So it is in the maturation of red blood cells, whose genes of multiple rate kinetics no single set of
    rates can fit: Barile et al. 2021, Genome Biology 22:197.
    """

    share: float
    """Share of the tissue's genes that are boosted."""
    time: tuple[float, float]
    """Earliest and latest time of a gene's boost."""
    fold: tuple[float, float] = (3.0, 6.0)
    """Least and greatest factor by which alpha rises."""


@dataclass(frozen=True)
class Lineage:
    """One path in time on which every gene has its own rates.

    A lineage without parent starts at ``start`` with every gene at its steady state; one with a parent
    starts there with the parent's unspliced and spliced RNA; one that is a cycle ends where it starts.
    """

    name: str
    family: str
    """Lineages of one family resemble each other in the level of their genes."""
    stages: tuple[Stage, ...]
    dynamic: float
    """Share of genes whose transcription switches along the lineage; with 0 all genes stay at steady state."""
    retains: float = 0.5
    """Chance that a gene with rates of its own here keeps more RNA unspliced than elsewhere, not less."""
    parent: str | None = None
    start: float = 0.0
    cycle: bool = False
    """Whether the lineage is one period of a cycle; such a lineage has no parent."""
    boost: Boost | None = None
    """Asks for a lineage without children."""

    @property
    def end(self) -> float:
        """The time of its last cell."""
        return max(stage.time[1] for stage in self.stages)


@dataclass(frozen=True)
class Batch:
    """Cells measured together, in a way that leaves its mark on the counts and not on the molecules."""

    name: str
    depth: float = 1.0
    """How much of its cells' RNA is caught, relative to the other batches."""
    unspliced: float = 1.0
    """How much more of the unspliced RNA is caught than of the spliced, over all genes."""
    gene_spread: float = 0.2
    """Standard deviation of the log of a gene's own capture factor, the same for u and s."""


@dataclass(frozen=True)
class Tissue:
    """Lineages whose cells lie in one data set; parents come before their children."""

    lineages: tuple[Lineage, ...]
    rates_differ: float = 0.0
    """Share of genes with their own beta and gamma in some of the lineages."""
    showcase: bool = False
    """Make the first gene the showcase ``SimTmsb10``; asks for lineages ``Granule`` and ``Endothelial``."""
    process: Process = "switches"
    """What sets the rates: switches between constant rates, a regulatory network, or latent factors."""
    batches: tuple[Batch, ...] = ()
    """Batches of equal size with cells of every stage; none if all cells are measured alike."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage, lineage by lineage."""
        return tuple(stage for lineage in self.lineages for stage in lineage.stages)
