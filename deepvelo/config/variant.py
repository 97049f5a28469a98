"""What a preset fixes: choices that decide a result and are no settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

Preset = Literal["default", "published"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The fixed choices of a preset, by default those of ``default``.

    ``published`` has those of the released DeepVelo (Cui et al. 2022); `docs/method.md` has what each one changes.
    """

    # Preparation
    size_factors: Literal["cell", "layer"] = "cell"
    """One size factor for all counts of a cell keeps their ratio; ``layer`` divides each by its own total, as scVelo does."""
    neighbors_from: Literal["both", "spliced"] = "both"
    """Counts that principal components are computed of; scVelo takes spliced ones alone."""
    # Candidates
    candidate_cells: int = 3000
    """Cells, sampled evenly, among which candidates are found: nearer ones differ by noise more than by direction."""
    # Network (eq. 2 and 3)
    hidden_sizes: tuple[int, ...] = (64, 64)
    dropout: float = 0.0
    nonnegative_rates: bool = True
    standardize_inputs: bool = True
    rate_layer: Literal["linear", "graph"] = "linear"
    """One fully connected layer, as in the paper, or one more graph convolution, as in the released code."""
    start: Literal["steady_state", "random"] = "steady_state"
    """Training starts at the rates of the assigned displacements, or at random weights; ``graph`` knows only these."""
    # Objective (eq. 4 to 7)
    continuity: Literal["components", "genes"] = "components"
    """Where velocities are compared with displacements: principal components, or all genes with equal weights."""
    reassign_every: int = 0
    """Reassign future and past cells every n epochs; 0 assigns them once, before training."""
    refinement_passes: int = 2
    """Each fits beta and gamma per neighbourhood, then reassigns future and past cells; only where assigned once."""
    direction_schedule: Literal["annealed", "published"] = "annealed"
    """The direction term fades during training, or is weighed by itself and stays."""
    direction_weight: float = 1.0
    unspliced_velocity: bool = True
    """Whether continuity includes du/dt; without it the data do not determine alpha."""
    # Training
    learning_rate_decay: float = 0.985
    """Factor an epoch."""


VARIANTS: dict[Preset, Variant] = {
    "default": Variant(),
    "published": Variant(
        size_factors="layer",
        neighbors_from="spliced",
        candidate_cells=100_000_000,
        dropout=0.2,
        nonnegative_rates=False,
        standardize_inputs=False,
        rate_layer="graph",
        start="random",
        continuity="genes",
        reassign_every=1,
        refinement_passes=0,
        direction_schedule="published",
        direction_weight=18.0,
        unspliced_velocity=False,
        learning_rate_decay=0.97,
    ),
}


@contextmanager
def ablation(preset: Preset = "default", **changes: Any) -> Iterator[Variant]:
    """Let a preset fix other choices within a ``with`` block: for ablations and tests."""
    before = VARIANTS[preset]
    VARIANTS[preset] = replace(before, **changes)
    try:
        yield VARIANTS[preset]
    finally:
        VARIANTS[preset] = before
