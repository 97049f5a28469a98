"""Settings of the training."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

Device = Literal["auto", "cpu", "cuda"]

# Cells: up to so many all are taken at once; of more, a batch is an eighth within these limits.
LARGEST_WHOLE, SMALLEST_BATCH, LARGEST_BATCH = 2000, 512, 2048
# From so many steps on more help little, so fewer epochs do, down to the second number: see docs/method.md, "Batches".
FEWEST_EPOCHS, FEWEST_OF_MANY, STEPS_ENOUGH = 8, 3, 1200
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
                "Number of epochs; raise it when the loss curve still falls at its end. Mini-batches use "
                "fewer epochs for the same number of steps (at least 8; 3 for very large data). On simulated tissue half as "
                "many lower the cosine with the truth by up to 0.02."
            ),
        ),
    ] = 200
    learning_rate: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate",
            description=(
                "Initial step size of Adam; mini-batches use 0.7 of it. Lower it if the loss jumps up and down."
            ),
        ),
    ] = 5e-3
    batch_cells: Annotated[
        int,
        Field(
            ge=0,
            le=100_000_000,
            title="Batch size",
            description=(
                "Number of cells in a mini-batch, at least 32; 0 uses all of up to 2,000 cells, and an eighth of more "
                "(512 to 2,048). Raising it to the number of cells or more trains on all at once, which needs more memory "
                "and time."
            ),
        ),
    ] = 0
    device: Annotated[
        Device,
        Field(
            title="Device",
            description="Device that trains the network; auto uses a GPU if there is one. Choose cpu to leave the GPU to others.",
        ),
    ] = "auto"

    def batch_of(self, n_cells: int) -> int:
        """Number of cells in a mini-batch of a data set of this size."""
        if self.batch_cells:
            return min(max(self.batch_cells, FEWEST_CELLS), n_cells)
        if n_cells <= LARGEST_WHOLE:
            return n_cells
        return min(max(n_cells // 8, SMALLEST_BATCH), LARGEST_BATCH)

    def epochs_of(self, n_cells: int) -> int:
        """Epochs over a data set of this size: mini-batches take as many steps in fewer."""
        n_batches = max(1, math.ceil(n_cells / max(1, self.batch_of(n_cells))))
        fewest = min(FEWEST_EPOCHS, max(FEWEST_OF_MANY, math.ceil(STEPS_ENOUGH / n_batches)))
        return min(self.n_epochs, max(math.ceil(self.n_epochs / n_batches), fewest))
