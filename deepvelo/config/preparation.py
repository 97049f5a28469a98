"""Settings of the way from counts to moments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PreparationConfig:
    """From counts to moments: scanpy's and scVelo's usual steps."""

    min_shared_counts: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Minimum shared counts",
            description=(
                "A gene is kept when its spliced and unspliced counts, in cells that have both, add up to this. "
                "Higher drops noisy genes; too high drops the rare ones that mark small cell types."
            ),
        ),
    ] = 20
    n_top_genes: Annotated[
        int,
        Field(
            ge=2,
            le=20000,
            title="Variable genes",
            description=(
                "How many of the most variable genes are kept. More genes steady the arrows and take longer; "
                "a direction that flips with this number should not be trusted."
            ),
        ),
    ] = 2000
    n_components: Annotated[
        int,
        Field(
            ge=2,
            le=200,
            title="Principal components",
            description=("How many principal components decide which cells are alike."),
        ),
    ] = 20
    compare_in: Annotated[
        str,
        Field(
            min_length=1,
            title="Cells compared in",
            description=(
                "Space in which neighbours are found. auto takes the data's own graph, else their integrated "
                "representation (Harmony, scVI, ...), else principal components; own computes new components. Choose an "
                "integrated one where batches differ: otherwise cells are averaged within their batch."
            ),
        ),
    ] = "auto"
    neighbors_from: Annotated[
        Literal["both", "spliced"],
        Field(
            title="Principal components of",
            description=(
                "both: cells are alike when their spliced and their unspliced RNA are, so that a cell switching a gene "
                "on is not averaged with one switching it off; spliced: as scVelo does."
            ),
        ),
    ] = "both"
    n_neighbors: Annotated[
        int,
        Field(
            ge=2,
            le=500,
            title="Neighbours for moments",
            description=(
                "Counts are averaged over this many similar cells. Higher is smoother, "
                "and blurs neighbouring cell states into each other."
            ),
        ),
    ] = 30
    size_factors: Annotated[
        Literal["cell", "layer"],
        Field(
            title="Size factors",
            description=(
                "cell: spliced and unspliced counts of a cell are divided by one size, so that their ratio stays as "
                "it was measured; layer: each by its own total, as scVelo does."
            ),
        ),
    ] = "cell"
    recompute_moments: Annotated[
        bool,
        Field(
            title="Recompute moments",
            description=(
                "Replace the genes, neighbours and moments that came with the file by freshly computed ones."
            ),
        ),
    ] = False
    recompute_embedding: Annotated[
        bool,
        Field(
            title="Recompute embedding",
            description=("Replace the UMAP that came with the file. Off keeps your own picture."),
        ),
    ] = False
