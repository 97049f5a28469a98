"""Definitions of the simulated tissues, by kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from deepvelo.datasets.tissue import Batch, Boost, Kind, Lineage, Stage, Tissue


def _single(
    name: str, family: str, weight: float, color: str, *, dynamic: float = 0.2, retains: float = 0.5
) -> Lineage:
    """A separate cell type: one stage of a short maturation, after its first switches."""
    return Lineage(name, family, (Stage(name, weight, (1.0, 4.0), color),), dynamic=dynamic, retains=retains)


# Group names and numbers of cells as in the mouse dentate gyrus of Hochgerner et al. 2018
# (scvelo.datasets.dentategyrus); all else is invented.
# The fourteen colours differ by at least 16 CIELAB units, also in protanopia, deuteranopia and tritanopia, and
# contrast with white and with the dark theme.
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


def _branches(*, boost: Boost | None = None) -> tuple[Lineage, ...]:
    """A root with two branches; the optional boost applies to the first branch."""
    return (
        Lineage("Root", "main", (Stage("Root", 1, (0.5, 4.0), "#8c8c8c"),), dynamic=0.4),
        Lineage(
            "Branch A",
            "main",
            (Stage("Early A", 1, (4.0, 7.4), "#56b4e9"), Stage("Tip A", 1, (7.0, 11.0), "#0072b2")),
            dynamic=0.5,
            parent="Root",
            start=4.0,
            boost=boost,
        ),
        Lineage(
            "Branch B",
            "main",
            (Stage("Early B", 1, (4.0, 7.4), "#e69f00"), Stage("Tip B", 1, (7.0, 11.0), "#d55e00")),
            dynamic=0.5,
            parent="Root",
            start=4.0,
        ),
    )


# phases have their usual shares of the period; cells are spread evenly over it
_CYCLE: Final = Tissue(
    lineages=(
        Lineage(
            "Cycle",
            "main",
            (
                Stage("G1", 4, (0.0, 4.0), "#56b4e9"),
                Stage("S", 3, (4.0, 7.0), "#0072b2"),
                Stage("G2", 2, (7.0, 9.0), "#e69f00"),
                Stage("M", 1, (9.0, 10.0), "#d55e00"),
            ),
            dynamic=0.7,
            cycle=True,
        ),
    ),
)


def _maturing(name: str, weight: float, color: str) -> Lineage:
    """A cell type without parent that matures throughout."""
    return Lineage(name, name, (Stage(name, weight, (2.0, 7.0), color),), dynamic=0.5)


_UNRELATED: Final = Tissue(
    lineages=(
        _maturing("Type 1", 38, "#0072b2"),
        _maturing("Type 2", 27, "#56b4e9"),
        _maturing("Type 3", 20, "#d55e00"),
        _maturing("Type 4", 13, "#e69f00"),
        _maturing("Type 5", 1.95, "#009e73"),  # 30 cells of 1,500
    ),
    rates_differ=0.5,
)

_ORIGINS: Final = Tissue(
    lineages=(
        Lineage("Origin 1", "first", (Stage("Type 1", 0.5, (0.5, 9.0), "#0072b2"),), dynamic=0.6),
        Lineage("Origin 2", "second", (Stage("Type 2", 0.375, (0.5, 7.0), "#d55e00"),), dynamic=0.6),
        Lineage("Origin 3", "third", (Stage("Type 3", 0.125, (0.5, 5.0), "#009e73"),), dynamic=0.6),
    ),
    rates_differ=0.3,
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
    "branch": Tissue(_branches()),
    "branch_rates": Tissue(_branches(), rates_differ=0.5),
    "boost": Tissue(_branches(boost=Boost(share=0.35, time=(6.8, 8.0)))),
    "cycle": _CYCLE,
    "unrelated": _UNRELATED,
    "origins": _ORIGINS,
    "batches": Tissue(_branches(), batches=(Batch("Batch 1"), Batch("Batch 2", depth=0.7, unspliced=1.3))),
    "regulated": Tissue(_branches(), process="network"),
    "factors": Tissue(_branches(), process="factors"),
    "static": _STATIC,
}


def tissue_of(kind: Kind, *, seed: int) -> Tissue:
    """Return the tissue of a kind; ``origins`` has two types for even seeds and three for odd seeds.

    The share of cells of the last type of ``origins`` depends on the seed, between 5 and 20%.
    """
    tissue = TISSUES[kind]
    if kind != "origins":
        return tissue
    kept = tissue.lineages[: 2 + seed % 2]
    smallest = np.random.default_rng([seed, 6]).uniform(0.05, 0.2)
    others = [lineage.stages[0].weight for lineage in kept[:-1]]
    weights = [weight * (1 - smallest) / sum(others) for weight in others] + [smallest]
    return replace(
        tissue,
        lineages=tuple(
            replace(lineage, stages=(replace(lineage.stages[0], weight=weight),))
            for lineage, weight in zip(kept, weights, strict=True)
        ),
    )
