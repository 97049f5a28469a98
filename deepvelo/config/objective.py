"""Settings of the objective that training minimises."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

LARGEST_LAMBDA = 100


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ObjectiveConfig:
    """Weights of the direction term (Eq. 7)."""

    lambda_u: Annotated[
        float,
        Field(
            ge=0,
            le=LARGEST_LAMBDA,
            title="λ unspliced",
            description=(
                "Weight of the correlation of velocity with unspliced RNA (Eq. 7). Raising it pulls every gene towards "
                "a velocity that rises with its new transcripts, the same in all cell types. On simulated tissue 0 lowers "
                "the cosine with the truth by 0.02 to 0.06 on 10x counts and 4 by 0.01 to 0.02; both change it by less than "
                "0.01 on deep counts."
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
                "tissue 0 to 4 change the cosine with the truth by less than 0.01 on deep counts; on 10x counts 4 lowers it "
                "by 0.06 to 0.12."
            ),
        ),
    ] = 1.0
