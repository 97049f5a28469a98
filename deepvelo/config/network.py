"""Settings of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, WrapValidator, model_validator
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT
from deepvelo.wording import in_code

MOST_LAYERS, WIDEST_LAYER = 6, 2048


def _all_sizes(value: Any, check: Callable[[Any], tuple[int, ...]]) -> tuple[int, ...]:
    """Say what the sizes should be together: a fault of the second of them is one of the whole setting."""
    try:
        return check(value)
    except ValidationError:
        found = in_code(list(value))[1:-1] if isinstance(value, list | tuple) else in_code(value)
        msg = (
            f"Setting `network.hidden_sizes` should be 1 to {MOST_LAYERS} whole numbers, each from 1 to "
            f"{WIDEST_LAYER:,}, for example 64, 64. Got {found or 'none'}. Change it."
        )
        raise ValueError(msg) from None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetworkConfig:
    """The graph convolutional network (Eq. 2) and its rate layer (Eq. 3)."""

    hidden_sizes: Annotated[
        tuple[Annotated[int, Field(ge=1, le=WIDEST_LAYER)], ...],
        Field(
            min_length=1,
            max_length=MOST_LAYERS,
            title="Layer sizes",
            description=(
                "Width of each graph convolution. Each further layer lets a cell see one step further in the graph."
            ),
        ),
        WrapValidator(_all_sizes),  # the last is the outermost
    ] = (64, 64)
    dropout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Dropout",
            description=(
                "Share of the hidden values dropped at random during training. Raising it guards against overfitting."
            ),
        ),
    ] = 0.0
    nonnegative_rates: Annotated[
        bool,
        Field(
            title="Non-negative rates",
            description=(
                "Keep all rates at or above 0, since negative rates have no meaning. Turn it off only to repeat the "
                "published release."
            ),
        ),
    ] = True
    standardize_inputs: Annotated[
        bool,
        Field(
            title="Standardise inputs",
            description=(
                "Scale each gene to mean 0 and variance 1 before the network. Without it abundant genes dominate the "
                "rest."
            ),
        ),
    ] = True
    rate_layer: Annotated[
        Literal["linear", "graph"],
        Field(
            title="Rate layer",
            description=(
                "linear: one fully connected layer gives all rates, as in the paper. graph: a further graph "
                "convolution, as in the released code, which needs the random start."
            ),
        ),
    ] = "linear"
    start: Annotated[
        Literal["steady_state", "random"],
        Field(
            title="Start",
            description=(
                "steady_state: training starts at the rates of each gene's steady-state fit. random: it starts at "
                "random weights, which leaves the first directions to chance."
            ),
        ),
    ] = "steady_state"

    @model_validator(mode="after")
    def _start_fits_rate_layer(self) -> NetworkConfig:
        if self.rate_layer == "graph" and self.start != "random":
            msg = (
                "Setting `network.rate_layer` is 'graph', which knows no start but 'random'. "
                f"Got {self.start!r}. Change `network.start`, or the rate layer to 'linear'."
            )
            raise ValueError(msg)
        return self
