"""``deepvelo simulate``: simulate a tissue with known rates, velocity and time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepvelo.datasets.tissue import Kind, Profile
from deepvelo.wording import for_terminal


def simulate(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT.h5ad", help="The file to write.")],
    kind: Annotated[Kind, typer.Option(help="The tissue.")] = "dentate",
    cells: Annotated[int, typer.Option(help="Number of cells.")] = 3000,
    genes: Annotated[
        int | None,
        typer.Option(help="Number of genes. Default: 800, or 2,000 with the droplet profile."),
    ] = None,
    depth: Annotated[float, typer.Option(help="Median spliced counts per cell.")] = 2000.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 0,
    profile: Annotated[
        Profile,
        typer.Option(
            help="Counts per gene. The droplet profile has the heavy tail of 10x data; 5% of its transcripts are "
            "never spliced."
        ),
    ] = "even",
) -> None:
    """Simulate a tissue with known rates, velocity and time; they are in the file's true_* layers."""
    from deepvelo.datasets.simulation import simulate as simulate_tissue  # seconds to import
    from deepvelo.io import write_h5ad

    adata = simulate_tissue(kind=kind, n_cells=cells, n_genes=genes, depth=depth, seed=seed, profile=profile)
    write_h5ad(adata, output)
    typer.echo(for_terminal(f"Wrote {output}"), err=True)
