"""What a run tells while it works, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from anndata import AnnData

    from deepvelo.config import Settings

Step = Literal["prepare", "train", "graph", "embed", "scores", "rates", "trajectory", "fates", "drivers"]
Unit = Literal["epoch", "gene", "cell"]

# What each step is called where people read it.
STEP_NAMES: dict[Step, str] = {
    "prepare": "Preparing the data",
    "train": "Training",
    "graph": "Velocity graph",
    "embed": "Arrows on the embedding",
    "scores": "Scores",
    "rates": "Maps of the rates",
    "trajectory": "Trajectory",
    "fates": "Fates",
    "drivers": "Driver genes",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is.

    ``epoch`` counts from 1 while the step is ``train``, and is 0 before the first has ended and in other steps; ``terms``
    holds that epoch's loss terms. Other methods have no epochs and no terms: with ``unit`` ``"gene"`` (scVelo's modes)
    or ``"cell"`` (GraphVelo) the two numbers count genes or cells that are fitted and to fit, both 0 where all are
    fitted at once.
    """

    step: Step
    epoch: int = 0
    n_epochs: int = 0
    terms: dict[str, float] = field(default_factory=dict)
    unit: Unit = "epoch"


def step_in_words(progress: Progress) -> str:
    """``Training, epoch 3 of 100``, ``Fitting genes, 48 of 310``, or the step's name."""
    if progress.unit == "epoch":
        name = STEP_NAMES[progress.step]
        return f"{name}, epoch {progress.epoch} of {progress.n_epochs}" if progress.n_epochs else name
    counted = f", {progress.epoch} of {progress.n_epochs}" if progress.n_epochs else ""
    return f"Fitting {progress.unit}s{counted}"


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished fit: everything the run store keeps; scVelo's modes have no history and no weights."""

    adata: AnnData
    history: pd.DataFrame
    weights: dict[str, torch.Tensor]
    settings: Settings
    metrics: dict[str, float | int | str]
