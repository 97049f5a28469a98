"""Settings of the training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

Device = Literal["auto", "cpu", "cuda"]


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
                "many lower the cosine with the truth by up to 0.01."
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
                "Initial step size of Adam; mini-batches use 0.7 to 0.9 of it. Lower it if the loss jumps up and down."
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
                "Largest number of cells in a mini-batch, at least 32; 0 uses all of up to 2,000 cells, fewer of more (512 "
                "from 2,813 on), and an eighth of very many (up to 2,048). Raising it to the number of cells or more trains on all at once, which needs more memory "
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
