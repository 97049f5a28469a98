"""Settings of what the training makes small."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ObjectiveConfig:
    """Weights of the objective (Eq. 4 to 7)."""

    continuity: Annotated[
        Literal["components", "genes"],
        Field(
            title="Continuity in",
            description=(
                "components: displacements to the candidates are taken in the principal components, and a candidate "
                "weighs by how far along the velocity it lies; genes: in all genes with uniform weights, as in the paper."
            ),
        ),
    ] = "components"
    settle_every: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Settle every",
            description=(
                "After how many epochs each cell's future and past are chosen anew. 0: once, before the training, from "
                "the velocity it starts with, and they stay. The published schedule does so in every epoch."
            ),
        ),
    ] = 0
    shared_rate_passes: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            title="Passes with shared rates",
            description=(
                "Before the training, so often: each cell's surroundings get the rates that together explain the way "
                "ahead best, and future and past are chosen anew from the velocity with those rates. It turns arrows "
                "round that no rates of a whole region could explain. 0: none; only where Settle every is 0."
            ),
        ),
    ] = 2
    lambda_u: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="λ unspliced",
            description=(
                "How strongly velocity should rise with unspliced RNA (Eq. 7). "
                "Higher trusts new transcripts more when deciding which way a cell moves."
            ),
        ),
    ] = 1.0
    lambda_s: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="λ spliced",
            description=(
                "How strongly velocity should fall with spliced RNA (Eq. 7). "
                "Higher trusts degradation of abundant transcripts more."
            ),
        ),
    ] = 1.0
    direction_weight: Annotated[
        float,
        Field(
            ge=0,
            le=1000,
            title="Direction weight",
            description=(
                "Weight of both correlation terms against continuity. Higher pulls every gene towards one steady-state "
                "line for all cells; with a random start and 0 the sign of the arrows is luck."
            ),
        ),
    ] = 1.0
    direction_schedule: Annotated[
        Literal["annealed", "published"],
        Field(
            title="Direction schedule",
            description=(
                "annealed: strong at first, to set the sign, then let go; published: as in the released code, throughout."
            ),
        ),
    ] = "annealed"
    direction_until: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Direction until",
            description=("Share of the training after which the annealed direction term is gone."),
        ),
    ] = 0.5
    unspliced_velocity: Annotated[
        bool,
        Field(
            title="Unspliced velocity",
            description=(
                "Let du/dt take part in continuity. Needed for alpha: without it nothing in the data decides alpha."
            ),
        ),
    ] = True

    @property
    def correlation_weights(self) -> tuple[float, float]:
        """Weights of corr(v, u) and corr(v, -s) in the direction loss.

        Half of each lambda. The published schedule divides by their sum, as the released code does: only the ratio
        of the lambdas counts there.
        """
        published = self.direction_schedule == "published"
        divisor = ((self.lambda_u + self.lambda_s) or 1.0) if published else 2.0
        return self.lambda_u / divisor, self.lambda_s / divisor
