"""Settings of the cell graph and of the candidates."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

MOST_ANCHORS = 5000  # cells whose neighbourhoods get rates before training
# Up to so many cells moments are averaged as often as asked.
_FEW_CELLS = 3000


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
                "Number of similar cells that each graph convolution averages. Raising it gives smoother rates; "
                "lowering it lets small groups keep their own. On simulated tissue 5 to 40 change hardly anything: the "
                "cosine with the truth, consistency and boundary scores by less than 0.01."
            ),
        ),
    ] = 20
    n_candidates: Annotated[
        int,
        Field(
            ge=2,
            le=500,
            title="Candidate neighbours",
            description=(
                "Number of similar cells among which the model finds each cell's future and past. Raising it reaches "
                "further along a lineage and averages out noise; too many reach into other cell types. On simulated "
                "tissue 30 lower the cosine with the truth by 0.01 to 0.04 on 10x counts, and by 0.01 at most on deep "
                "counts."
            ),
        ),
    ] = 120
    candidate_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Share as candidates",
            description=(
                "Largest share of all cells that are candidates of one cell, so that candidates stay similar in a small "
                "data set. 1 sets no limit."
            ),
        ),
    ] = 0.125
    candidate_cells: Annotated[
        int,
        Field(
            ge=1500,
            le=100_000_000,
            title="Candidates among",
            description=(
                "Number of cells, sampled evenly, among which larger data sets find candidates. Raising it finds nearer "
                "candidates, which differ from the cell by noise more than by direction."
            ),
        ),
    ] = 3000
    n_components: Annotated[
        int,
        Field(
            ge=2,
            le=200,
            title="Components for neighbours",
            description=(
                "Number of principal components in which graph neighbours and candidates are found. Raising it keeps "
                "more detail and more noise."
            ),
        ),
    ] = 20
    smooth_inputs: Annotated[
        int,
        Field(
            ge=0,
            le=5,
            title="Input smoothing",
            description=(
                "How often the moments are averaged over the neighbours again before training; 0 leaves them as they "
                "are. Raising it helps with sparse counts; more than 3,000 cells get proportionally more averages "
                "(3 times as many at 10,000, 11 times at 100,000). On simulated tissue 0 lowers the cosine with the truth "
                "by 0.01 to 0.1 on 10x counts and changes hardly anything on deep counts."
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
                "How often the fitted velocity is averaged over the neighbours. Raising it raises the consistency score "
                "of any method, even where nothing moves. On simulated tissue 0 lowers consistency by 0.01 to 0.09, raises "
                "boundary scores by up to 0.02 and lowers the cosine with the truth by up to 0.04 on 10x counts."
            ),
        ),
    ] = 2
    total_rna: Annotated[
        Literal["biological", "technical"],
        Field(
            title="Changes of total RNA",
            description=(
                "biological: where cells' total counts change along the velocity, their growth is part of it; "
                "technical: velocities are those of normalised counts, as in scVelo. "
                "Choose technical where the share of RNA that is captured changes along a lineage: counts alone cannot tell."
            ),
        ),
    ] = "biological"

    def averages_of(self, n_cells: int) -> int:
        """How many averages over neighbours reach as far, in a data set of this size, as one in 3,000 cells.

        The more cells, the nearer are a cell's neighbours: averaged as often, moments would be as noisy as those of few
        cells, and the ways from cell to cell shorter, until they are noise alone. Counted for cells that fill three
        dimensions.
        """
        return math.ceil(max(1.0, n_cells / _FEW_CELLS) ** (2 / 3))

    def smoothings_of(self, n_cells: int) -> int:
        """How often the moments are averaged in a data set of this size."""
        return self.smooth_inputs * self.averages_of(n_cells)

    def candidates_of(self, n_cells: int) -> int:
        """How many candidates a cell gets in a data set of this size, at least 2."""
        if self.candidate_share == 1:
            return self.n_candidates
        return min(self.n_candidates, max(2, round(self.candidate_share * n_cells)))

    def neighborhood_of(self, n_cells: int) -> int:
        """How many other cells share rates with a cell before training: as many as its candidates."""
        return min(self.candidates_of(n_cells), n_cells - 1)
