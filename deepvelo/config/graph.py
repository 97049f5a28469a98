"""Settings of the cell graph and of the candidates."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT

MOST_PLACES = 5000  # cells whose surroundings are looked at before the training
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
                "Each cell's rates are learned together with this many similar cells. "
                "Higher gives smoother rates; lower lets small groups keep their own."
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
                "Among this many similar cells the model looks for each cell's future and past. "
                "Higher reaches further along a lineage and averages out noise; too high reaches into other cell types. "
                "In a small data set they are fewer: see the share as candidates."
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
                "At most this share of all cells are candidates, so that in a small data set they stay similar. "
                "1 sets no limit."
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
                "In larger data candidates are chosen among this many cells, taken evenly from all: the very nearest of "
                "many cells differ by noise alone. As many as there are, or more, chooses among all."
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
                "Principal components of expression used to find those neighbours, and to tell movement from noise."
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
                "How often the moments are averaged once more over the neighbours before training. Helps with sparse "
                "counts; 0 leaves them as they are. Where there are more than 3,000 cells neighbours lie nearer, and so many "
                "times more averages reach as far: 2, 3 at 10,000, 11 at 100,000."
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
                "How often the fitted velocity is averaged over the neighbours. "
                "Raises the consistency score of any method, moving tissue or not: smooth is not correct."
            ),
        ),
    ] = 2
    denoise_velocity: Annotated[
        bool,
        Field(
            title="Denoise velocity",
            description=(
                "Keep of the fitted velocity what lies in the principal components of expression: cells move in the "
                "directions in which they differ, and the rest is mostly noise."
            ),
        ),
    ] = True

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

    def surroundings_of(self, n_cells: int) -> int:
        """How many other cells share rates with a cell before the training: twice the candidates, if there are so many."""
        return min(2 * self.candidates_of(n_cells), n_cells - 1)
