"""Settings of the training loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingConfig:
    """Adam with amsgrad, full batch."""

    n_epochs: Annotated[
        int,
        Field(
            ge=1,
            le=100000,
            title="Epochs",
            description=("Passes over the data. Watch the loss curve: stop where it is flat."),
        ),
    ] = 100
    learning_rate: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate",
            description=("Size of the first steps. If the loss jumps up and down, lower it."),
        ),
    ] = 1e-2
    learning_rate_decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate decay",
            description=("The learning rate is multiplied by this after every epoch."),
        ),
    ] = 0.97
    patience: Annotated[
        int,
        Field(
            ge=0,
            le=100000,
            title="Patience",
            description=(
                "Stop early when the total loss has not fallen for this many epochs; 0 never stops early."
            ),
        ),
    ] = 0
    device: Annotated[
        Device,
        Field(title="Device", description="auto takes a GPU when there is one."),
    ] = "auto"
