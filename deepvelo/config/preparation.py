"""Settings of the preparation, from counts to moments."""

from __future__ import annotations

from typing import Annotated

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
                "Minimum sum of spliced and unspliced counts of a gene, over the cells that have both. Raising it drops "
                "noisy genes; too high a value drops the markers of small cell types."
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
                "Number of most variable genes to keep. Raising it gives more stable arrows and a longer fit; do not "
                "trust a direction that reverses with this number. On simulated tissue a quarter of the genes changes"
                " the cosine with the truth by -0.04 to 0.02, half of them by 0.01, up or down."
            ),
        ),
    ] = 2000
    n_components: Annotated[
        int,
        Field(
            ge=2,
            le=200,
            title="Principal components",
            description=(
                "Number of principal components for the search of neighbours and candidates. Raising it keeps more "
                "detail and more noise. On simulated tissue 40 changes the cosine with the truth by -0.03 to 0.02; 10 "
                "lowers it by up to 0.07 on 10x counts, and consistency by up to 0.04."
            ),
        ),
    ] = 20
    compare_in: Annotated[
        str,
        Field(
            min_length=1,
            title="Neighbour space",
            description=(
                "Space of the neighbour search: auto uses the graph of the data set, else its integrated representation "
                "(Harmony, scVI, ...), else principal components; own computes new components. Choose an integrated "
                "representation where batches differ: otherwise moments average each cell within its batch."
            ),
        ),
    ] = "auto"
    n_neighbors: Annotated[
        int,
        Field(
            ge=2,
            le=500,
            title="Neighbours for moments",
            description=(
                "Number of nearest cells that moments average counts over. Raising it gives smoother moments and "
                "blurs neighbouring cell states. On simulated tissue 15 changes the cosine with the truth by -0.02 to "
                "0.01; 60 lowers it by up to 0.06."
            ),
        ),
    ] = 30
    recompute_moments: Annotated[
        bool,
        Field(
            title="Recompute moments",
            description=(
                "Compute genes, neighbours and moments instead of using those in the file. Turn it on when they were "
                "computed with settings you do not want."
            ),
        ),
    ] = False
    recompute_embedding: Annotated[
        bool,
        Field(
            title="Recompute embedding",
            description=(
                "Compute a new UMAP instead of using the one in the file. Turn it on when the file's embedding does not "
                "fit the neighbours used here."
            ),
        ),
    ] = False
