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

Step = Literal["prepare", "train", "graph", "embed", "scores", "rates"]

# What each step is called where people read it.
STEP_NAMES: dict[Step, str] = {
    "prepare": "Preparing the data",
    "train": "Training",
    "graph": "Velocity graph",
    "embed": "Arrows on the embedding",
    "scores": "Scores",
    "rates": "Maps of the rates",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is.

    ``epoch`` counts from 1 while the step is ``train`` and is 0 otherwise; ``terms`` holds that
    epoch's loss terms.
    """

    step: Step
    epoch: int = 0
    n_epochs: int = 0
    terms: dict[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished fit: everything the run store keeps."""

    adata: AnnData
    history: pd.DataFrame
    weights: dict[str, torch.Tensor]
    settings: Settings
    metrics: dict[str, float | int | str]
