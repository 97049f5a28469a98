"""Settings of the cell graph and of the candidates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GraphConfig:
    """The cell graph of the network and the candidate neighbours of the objective."""

    n_neighbors: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            title="Graph neighbours",
            description=(
                "Number of nearest cells that each graph convolution averages. Raising it gives smoother rates; "
                "lowering it preserves the rates of small groups. On simulated tissue 40 lowers the cosine with the "
                "truth by up to 0.02, and 5 changes it by less than 0.01."
            ),
        ),
    ] = 20
    n_candidates: Annotated[
        int,
        Field(
            ge=0,
            le=500,
            title="Candidate neighbours",
            description=(
                "Number of nearest cells among which target assignment finds each cell's future and past; 0 uses an "
                "eighth of all cells, at most 120. Raising it reaches further along a lineage and averages out noise;"
                " too many reach into other cell types. On simulated tissue 30 lowers the cosine with the truth by up "
                "to 0.01 on 10x counts, and on deep counts of unrelated cell types by 0.09."
            ),
        ),
    ] = 0
    smooth_inputs: Annotated[
        int,
        Field(
            ge=0,
            le=5,
            title="Input smoothing",
            description=(
                "Number of times moments are averaged over graph neighbours before training; 0 uses them as they are."
                " Raising it helps with sparse counts; above 3,000 cells the number grows with the data set (3 times "
                "as many at 10,000 cells, 11 times at 100,000). On simulated tissue 0 changes the cosine with the "
                "truth by -0.03 to 0.01 on 10x counts and by less than 0.01 on deep counts."
            ),
        ),
    ] = 1
    smooth_velocity: Annotated[
        int,
        Field(
            ge=0,
            le=5,
            title="Velocity smoothing",
            description=(
                "Number of times the fitted velocity is averaged over graph neighbours. Raising it raises the "
                "consistency score of any method, even at steady state. On simulated tissue 0 lowers consistency by "
                "0.04 to 0.05, raises boundary scores by 0.02 and changes the cosine with the truth by 0.01, up or "
                "down."
            ),
        ),
    ] = 2
    total_rna: Annotated[
        Literal["biological", "technical"],
        Field(
            title="Changes of total RNA",
            description=(
                "biological adds the change of total RNA along the velocity to it; technical keeps the velocity of "
                "normalised counts, as in scVelo. Choose technical where capture efficiency changes along a lineage: counts "
                "alone cannot tell."
            ),
        ),
    ] = "biological"

    @model_validator(mode="after")
    def _two_candidates(self) -> GraphConfig:
        if self.n_candidates == 1:
            msg = "Setting `graph.n_candidates` should be 0 or at least 2, one ahead and one behind. Got 1. Change it."
            raise ValueError(msg)
        return self
