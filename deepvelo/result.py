"""Progress and result of a run."""

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

# Display names of the steps.
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
    """Progress of a run.

    In the step ``train``, ``epoch`` counts finished epochs and ``terms`` has the loss terms of the last one; ``epoch`` is
    0 in other steps. Other methods have no loss terms: with ``unit`` ``"gene"`` (scVelo's modes) or ``"cell"``
    (GraphVelo), ``epoch`` and ``n_epochs`` are the numbers of fitted and of all genes or cells, both 0 if all are fitted
    at once.
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
    """A finished fit, as the run store keeps it; other methods have no history and no weights."""

    adata: AnnData
    history: pd.DataFrame
    weights: dict[str, torch.Tensor]
    settings: Settings
    metrics: dict[str, float | int | str]
