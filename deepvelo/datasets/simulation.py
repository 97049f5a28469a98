"""Simulated tissue: realistic counts generated from known rates."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from deepvelo import keys, memory
from deepvelo.datasets.batches import draw_batches
from deepvelo.datasets.genes import gene_names
from deepvelo.datasets.kinetics import FloatArray, IntArray
from deepvelo.datasets.profile import UNSPLICEABLE, draw_abundance
from deepvelo.datasets.rna import draw_rna
from deepvelo.datasets.tissue import Kind, Profile, Tissue
from deepvelo.datasets.tissues import TISSUES, tissue_of
from deepvelo.datasets.truth import Truth
from deepvelo.errors import InputError
from deepvelo.wording import in_code

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

N_GENES: Final[dict[Profile, int]] = {"even": 800, "droplet": 2000}
SIZE_SPREAD: Final = 0.4  # standard deviation of the log library size; real 10x data have 0.3 to 0.6
DISPERSION: Final = 0.05  # variance = mean + dispersion * mean^2, slightly above Poisson
_DEEPEST: Final = 10_000_000  # maximum counts per cell
_BYTES: Final = 220  # per cell and gene: counts, ground truth and intermediate arrays


def simulate(
    *,
    kind: Kind = "dentate",
    n_cells: int = 3000,
    n_genes: int | None = None,
    depth: float = 2000,
    seed: int = 0,
    profile: Profile = "even",
) -> AnnData:
    """Simulate a tissue with known rates, velocities and times.

    Cells are drawn along lineages, their RNA follows eq. 1, and a share of it is captured and counted. Changing
    only ``depth`` keeps the tissue and its cells. ``docs/simulation.md`` gives the equations and their sources.

    Parameters
    ----------
    kind
        Kind of tissue. In most kinds, transcription switches between constant rates, and RNA is the exact solution:
        ``dentate``: modelled on the mouse dentate gyrus, with two lineages and several unrelated cell types;
        ``linear``: one lineage; ``branch``: a root with two branches;
        ``branch_rates``: as ``branch``, with genes whose beta and gamma differ between the branches;
        ``boost``: as ``branch``, with genes whose transcription rises 3 to 6 fold late in branch A;
        ``cycle``: one period of a cell cycle; ``unrelated``: five maturing cell types without common descent,
        with genes whose beta and gamma differ between types, the smallest with 2% of the cells;
        ``origins``: two (even seed) or three (odd seed) cell types with separate origins, the last with 5 to 20% of
        the cells; beta and gamma of 30% of the genes differ between them;
        ``batches``: as ``branch``, measured in two batches; ``static``: cell types at steady state. Unless stated
        otherwise, each gene has one beta and one gamma.

        ``regulated``: a root with two branches and a gene regulatory network (Hill functions); every stage has its
        own rates of the master regulators. Molecules of single cells fluctuate (chemical Langevin equation,
        transcription in bursts).
        ``factors``: the same tree; alpha, beta and gamma are functions of latent factors that diffuse along it.
    n_cells
        Number of cells; the proportions of the groups are fixed.
    n_genes
        Number of genes. By default 800, or 2,000 with the profile ``droplet``.
    depth
        Median number of spliced counts per cell, over all genes.
    seed
        The same seed gives the same data.
    profile
        Distribution of counts over genes. ``droplet`` resembles 10x data: a lognormal factor (standard deviation 1.1)
        scales the RNA of each gene, so a few genes have most of the counts, and most genes have fewer than 0.2
        unspliced counts per cell (at 2,000 genes and 2,000 counts per cell). In addition, 5% of the transcripts of
        every gene are never spliced: they count as unspliced until they are degraded, at the gene's gamma. The ground
        truth excludes them: ``true_alpha`` is the transcription of the other 95%, for which eq. 1 holds.

    Returns
    -------
    `layers`: ``spliced``, ``unspliced`` (CSR, int32, counts; ``X`` holds the spliced ones);
    ``true_alpha``, ``true_velocity``, ``true_velocity_u`` (float32, molecules per unit time),
    ``true_beta``, ``true_gamma`` (float32, per unit time).
    `obs`: ``clusters``, ``lineage`` (categorical), ``true_time`` (no physical unit; in a cycle within one
    period), ``true_size``.
    `var`: ``rates_differ`` (bool). `uns`: ``clusters_colors``, ``simulation``, ``true_capture``.
    Molecules refer to the whole cell; expected counts are ``true_capture * true_size`` times the molecules.
    ``batches`` adds `obs`: ``batch`` (categorical), ``true_unspliced_capture``; `varm`:
    ``true_gene_capture`` (genes x batches). Expected counts are then also multiplied by the
    gene's factor in the cell's batch, and unspliced ones by the cell's ``true_unspliced_capture``.

    In ``regulated``, molecules of single cells fluctuate. The true layers describe the noise-free system at the cell's
    time, the mean behaviour of such cells: alpha is the Hill production at its state, velocity its drift.

    Raises
    ------
    InputError
        Unknown kind or profile, numbers out of range, or too little memory.

    Examples
    --------
    >>> adata = dv.datasets.simulate(kind="linear", n_cells=80, n_genes=60)
    >>> adata.layers["true_velocity"].shape
    (80, 60)
    """
    if n_genes is None:
        n_genes = N_GENES.get(profile, N_GENES["even"])
    adata, truth = draw(kind=kind, n_cells=n_cells, n_genes=n_genes, depth=depth, seed=seed, profile=profile)
    truth.attach(adata)
    return adata


def draw(
    *, kind: Kind, n_cells: int, n_genes: int, depth: float, seed: int, profile: Profile = "even"
) -> tuple[AnnData, Truth]:
    """Draw the observable data, and separately their ground truth; see :func:`simulate`."""
    if profile not in N_GENES:
        msg = f"Unknown profile {profile!r}. Choose one of {', '.join(N_GENES)}."
        raise InputError(msg)
    tissue = _checked_tissue(kind, n_cells=n_cells, n_genes=n_genes, depth=depth, seed=seed)
    # a separate random stream per step, so a change in one does not affect the others
    for_genes, for_cells, for_counts, for_batches, for_noise, for_profile = (
        np.random.default_rng([seed, step]) for step in range(6)
    )
    stage, lineage, time = _place_cells(tissue, n_cells, rng=for_cells)
    unspliceable = UNSPLICEABLE if profile == "droplet" else 0.0
    rna = draw_rna(tissue, n_genes, lineage, time, unspliceable=unspliceable, rngs=(for_genes, for_noise))
    if profile == "droplet":
        rna = rna.scaled(draw_abundance(n_genes, rng=for_profile))
    size = np.exp(for_cells.normal(0.0, SIZE_SPREAD, n_cells))
    batches = draw_batches(tissue, stage, n_genes=n_genes, rng=for_batches)
    if batches is not None:
        size *= batches.depth[batches.batch]

    # the expected totals at full capture determine the captured share
    whole = Truth(
        kinetics=rna.kinetics,
        lineages=tuple(part.name for part in tissue.lineages),
        lineage=lineage,
        time=time,
        size=np.ones(n_cells),
        capture=1.0,
        rates_differ=rna.rates_differ,
        batches=batches,
        molecules=rna.molecules,
    )
    total = size * whole.expected_counts()[0].sum(axis=1)
    truth = replace(whole, size=size, capture=depth / float(np.median(total)))
    spliced, unspliced = (_count(mean, rng=for_counts) for mean in truth.expected_counts())

    groups = [part.name for part in tissue.stages]
    adata = AnnData(
        X=spliced.astype(np.float32),
        obs=pd.DataFrame(
            {keys.CLUSTERS: pd.Categorical.from_codes(stage, categories=groups)},
            index=[f"SimCell{number:0{len(str(n_cells))}d}" for number in range(1, n_cells + 1)],
        ),
        var=pd.DataFrame(index=gene_names(tissue, n_genes)),
        layers={keys.SPLICED: spliced, keys.UNSPLICED: unspliced},
    )
    if batches is not None:
        adata.obs[keys.BATCH] = pd.Categorical.from_codes(batches.batch, categories=list(batches.names))
    adata.uns[keys.colors(keys.CLUSTERS)] = np.array([part.color for part in tissue.stages])
    adata.uns[keys.SIMULATION] = {
        "kind": kind,
        "seed": seed,
        "depth": float(depth),
        "note": "simulated, not measured",
    }
    if profile != "even":
        adata.uns[keys.SIMULATION]["profile"] = profile
    return adata, truth


def _checked_tissue(kind: Kind, *, n_cells: int, n_genes: int, depth: float, seed: int) -> Tissue:
    if kind not in TISSUES:
        msg = f"Unknown kind of simulation {kind!r}. Choose one of {', '.join(KINDS)}."
        raise InputError(msg)
    tissue = tissue_of(kind, seed=seed)
    if n_cells < len(tissue.stages):
        msg = f"A simulation of kind {kind!r} has {len(tissue.stages)} groups and needs a cell for each, got n_cells = {n_cells}."
        raise InputError(msg)
    if n_genes < 10:
        msg = f"A simulation needs at least 10 genes, got n_genes = {n_genes}."
        raise InputError(msg)
    if not 0 < depth <= _DEEPEST:
        msg = (
            f"The depth is the median number of spliced counts per cell and must be above 0 and at most {_DEEPEST:,}, "
            f"got {depth}."
        )
        raise InputError(msg)
    if not 0 <= seed < 2**32:
        msg = f"The seed must be from 0 to 4,294,967,295, got {in_code(seed)}."
        raise InputError(msg)
    needed, available = n_cells * n_genes * _BYTES, memory.available_memory()
    if needed > available:
        msg = (
            f"A simulation of {in_code(n_cells)} cells and {in_code(n_genes)} genes needs more memory than the "
            f"{available / 2**30:.1f} GB that are free. Ask for fewer."
        )
        raise InputError(msg)
    return tissue


def _place_cells(
    tissue: Tissue, n_cells: int, *, rng: np.random.Generator
) -> tuple[IntArray, IntArray, FloatArray]:
    """Stage, lineage and time of every cell, each ``(n_cells,)``, in random order."""
    weight = np.array([stage.weight for stage in tissue.stages])
    # one cell per stage, the others by weight; rounding follows the largest remainders
    share = (n_cells - len(weight)) * weight / weight.sum()
    number = 1 + np.floor(share).astype(int)
    number[np.argsort(np.floor(share) - share, kind="stable")[: n_cells - number.sum()]] += 1
    stage = rng.permutation(np.repeat(np.arange(len(weight)), number))
    lineage_of = np.repeat(np.arange(len(tissue.lineages)), [len(part.stages) for part in tissue.lineages])
    earliest, latest = np.array([part.time for part in tissue.stages]).T
    return stage, lineage_of[stage], rng.uniform(earliest[stage], latest[stage])


def _count(mean: FloatArray, *, rng: np.random.Generator) -> csr_matrix:
    """Negative binomial counts around their mean."""
    noise = rng.gamma(1 / DISPERSION, DISPERSION, mean.shape)
    return csr_matrix(rng.poisson(mean * noise).astype(np.int32))
