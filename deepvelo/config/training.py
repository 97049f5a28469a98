"""Settings of the training loop."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

Device = Literal["auto", "cpu", "cuda"]

# Cells: up to so many all are taken at once; of more, a batch is an eighth within these limits.
LARGEST_WHOLE, SMALLEST_BATCH, LARGEST_BATCH = 2000, 512, 2048
# From so many steps on more help little, so fewer passes do, down to the second number: see docs/method.md, "Batches".
FEWEST_PASSES, FEWEST_OF_MANY, STEPS_ENOUGH = 8, 3, 1200
FEWEST_CELLS = 32  # of a batch


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingConfig:
    """Adam with amsgrad, in all cells at once or in batches of cells."""

    n_epochs: Annotated[
        int,
        Field(
            ge=1,
            le=100000,
            title="Epochs",
            description=(
                "Passes over the data. Watch the loss curve: stop where it is flat. In batches a pass takes many steps, so "
                "fewer passes are made: as many as take this many steps, and at least 8, or at "
                "least 3 where those take 1,200 steps."
            ),
        ),
    ] = 100
    learning_rate: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate",
            description=(
                "Size of the first steps, in batches times 0.7. If the loss jumps up and down, lower it."
            ),
        ),
    ] = 1e-2
    learning_rate_decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate decay",
            description=(
                "The learning rate is multiplied by this after every epoch; in batches it falls as far over the whole training."
            ),
        ),
    ] = 0.97
    batch_cells: Annotated[
        int,
        Field(
            ge=0,
            le=100_000_000,
            title="Cells a step",
            description=(
                "How many cells each step learns from. 0 chooses: all up to 2,000 cells, an eighth of more, 512 to 2,048. "
                "At least 32; as many as there are, or more, train on all at once, which needs more memory and time."
            ),
        ),
    ] = 0
    patience: Annotated[
        int,
        Field(
            ge=0,
            le=100000,
            title="Patience",
            description=(
                "Stop early when the total loss has not fallen for this many epochs; 0 never stops early. Counted from when "
                "the direction term is gone: of the 8 epochs made in large batched data 4 are left, and 3 or more "
                "never act."
            ),
        ),
    ] = 0
    device: Annotated[
        Device,
        Field(title="Device", description="auto takes a GPU when there is one."),
    ] = "auto"

    def batch_of(self, n_cells: int) -> int:
        """How many cells a step learns from in a data set of this size."""
        if self.batch_cells:
            return min(max(self.batch_cells, FEWEST_CELLS), n_cells)
        if n_cells <= LARGEST_WHOLE:
            return n_cells
        return min(max(n_cells // 8, SMALLEST_BATCH), LARGEST_BATCH)

    def passes_of(self, n_cells: int) -> int:
        """How many passes over a data set of this size there are."""
        n_batches = max(1, math.ceil(n_cells / max(1, self.batch_of(n_cells))))
        fewest = min(FEWEST_PASSES, max(FEWEST_OF_MANY, math.ceil(STEPS_ENOUGH / n_batches)))
        return min(self.n_epochs, max(math.ceil(self.n_epochs / n_batches), fewest))
