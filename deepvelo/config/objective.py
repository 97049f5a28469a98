"""Settings of the objective that training minimises."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

LARGEST_LAMBDA = 100


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ObjectiveConfig:
    """Weights of the objective (Eq. 4 to 7)."""

    continuity: Annotated[
        Literal["components", "genes"],
        Field(
            title="Continuity in",
            description=(
                "Where a cell's velocity is compared with the displacements to its candidates. components: in principal "
                "components, with more weight for candidates further along the velocity; genes: in all genes with equal "
                "weights, as in the paper."
            ),
        ),
    ] = "components"
    settle_every: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Reassign every",
            description=(
                "Reassign future and past cells every n epochs; 0 assigns them once, before training. The published "
                "schedule reassigns them in every epoch."
            ),
        ),
    ] = 0
    shared_rate_passes: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            title="Refinement passes",
            description=(
                "Number of passes before training; each fits beta and gamma per neighbourhood, then reassigns future "
                "and past cells. Passes reverse directions that no rates of a neighbourhood explain; they run only where "
                "Reassign every is 0."
            ),
        ),
    ] = 2
    lambda_u: Annotated[
        float,
        Field(
            ge=0,
            le=LARGEST_LAMBDA,
            title="λ unspliced",
            description=(
                "Weight of the correlation of velocity with unspliced RNA (Eq. 7). Raising it pulls every gene towards "
                "a velocity that rises with its new transcripts, the same in all cell types. On simulated tissue 0 to 4 "
                "change hardly anything: the cosine with the truth by 0.02 on 10x counts, by nothing on deep ones."
            ),
        ),
    ] = 1.0
    lambda_s: Annotated[
        float,
        Field(
            ge=0,
            le=LARGEST_LAMBDA,
            title="λ spliced",
            description=(
                "Weight of the correlation of velocity with minus the spliced RNA (Eq. 7). Raising it pulls every gene "
                "towards a velocity that falls where its transcripts are abundant, the same in all cell types. On simulated "
                "tissue 0 to 4 change hardly anything on deep counts; on 10x counts 4 lowers the cosine with the truth by "
                "0.01 to 0.05."
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
                "Weight of both correlation terms against continuity. Raising it pulls every gene towards one "
                "steady-state line for all cells; with a random start, 0 leaves the sign of the arrows to chance."
            ),
        ),
    ] = 1.0
    direction_schedule: Annotated[
        Literal["annealed", "published"],
        Field(
            title="Direction schedule",
            description=(
                "annealed: the direction term fades during training, and each λ acts on its own. published: it stays "
                "throughout, and only the ratio of the two λ counts, as in the released code."
            ),
        ),
    ] = "annealed"
    direction_until: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Direction until",
            description=("Share of the training after which the annealed direction term is 0."),
        ),
    ] = 0.5
    unspliced_velocity: Annotated[
        bool,
        Field(
            title="Unspliced velocity",
            description=(
                "Include du/dt in continuity. Turn it off only to repeat the published release: without it the data do "
                "not determine alpha."
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
