"""What sizes decide: every choice of a fit that follows from its numbers of cells and genes, in one place.

`plan_of` applies the rules below once, before a fit; training, the memory estimate, the form, `deepvelo check` and the stored
run read the plan. Parts of the data, arrays without settings and pictures apply the same rules by themselves.

Two kinds of numbers stay beside the code they belong to. Block sizes (``_BLOCK_...``) change memory and time, and answers by
rounding at most. Least numbers, below which a statistic says nothing, refuse or skip and decide nothing.

Free memory decides nothing here: the same data and settings give the same answer on a small and a large machine.
`deepvelo.memory` says whether there is room for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from deepvelo.config import Settings
from deepvelo.config.strict import STRICT

Search = Literal["exact", "index"]
Precision = Literal["single", "half"]
_Count = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
_Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a fit runs on, as far as it decides how."""

    n_processes: int = 1
    """Processes that train together, as ``torchrun`` starts them."""
    has_scratch: bool = True
    """Whether there is a folder on disk that all of them read and write."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the sizes of a data set decide about a DeepVelo fit. Made by `plan_of`, stored with the run."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    n_cells: _Count
    n_genes: _Count
    neighbor_search: Search
    """Compare every cell with every other, or use an index."""
    n_candidates: _Count
    """Candidates of a cell."""
    candidate_cells: _Count
    """Number of cells among which candidates are found."""
    n_averages: _Count
    """Averages over neighbours that reach as far as one in 3,000 cells."""
    input_averages: _Count
    """How often moments are averaged before training."""
    coarse_averages: bool
    """Whether these are averages over groups of near cells (graph coarsening)."""
    anchor_cells: _Count
    """Cells whose neighbourhoods get rates of their own before training."""
    neighborhood_cells: _Count
    """Cells of a neighbourhood, beside its anchor."""
    stretch_cells: _Count
    """Cells that are cut into stretches; the others follow the nearest of them."""
    batch_cells: _Count
    """Cells that a training step learns from."""
    group_cells: _Count
    """Cells that lie together and go into the same mini-batch."""
    n_batches: _Count
    """Mini-batches an epoch; 1 trains on all cells at once."""
    n_epochs: _Count
    learning_rate_factor: _Share
    """Of ``training.learning_rate``."""
    input_precision: Precision
    """Of what the network sees; parameters and moments are in single precision."""
    from_disk: bool
    """Whether moments and what the network sees lie in files during training."""
    n_processes: _Count
    """Processes that share every training step."""
    silhouette_cells: _Count
    """Cells, drawn at random, that the silhouette of the rates is computed from."""
    drawn_cells: _Count
    """Points of a picture."""

    @property
    def in_batches(self) -> bool:
        """Whether a training step learns from a mini-batch."""
        return self.batch_cells < self.n_cells


def plan_of(n_cells: int, n_genes: int, settings: Settings, machine: Machine | None = None) -> Plan:
    """Everything that sizes decide about a DeepVelo fit.

    Parameters
    ----------
    n_cells, n_genes
        Of the prepared data.
    machine
        By default one process and a folder on disk.

    Examples
    --------
    >>> from deepvelo.config import Settings
    >>> plan = plan_of(100_000, 2000, Settings())
    >>> plan.batch_cells, plan.n_batches, plan.n_epochs
    (2041, 49, 8)
    """
    machine = machine or Machine()
    n_averages = averages(n_cells)
    input_averages = moment_averages(n_cells, settings)
    candidates = n_candidates(n_cells, settings)
    batch = batch_cells(n_cells, settings)
    n_batches = max(1, math.ceil(n_cells / max(1, batch)))
    return Plan(
        n_cells=n_cells,
        n_genes=n_genes,
        neighbor_search=neighbor_search(n_cells),
        n_candidates=candidates,
        candidate_cells=min(n_cells, settings.variant.candidate_cells),
        n_averages=n_averages,
        input_averages=input_averages,
        coarse_averages=averages_over_groups(n_cells, times=input_averages),
        anchor_cells=min(n_cells, MOST_ANCHORS),
        neighborhood_cells=min(candidates, n_cells - 1),
        stretch_cells=min(n_cells, MOST_IN_STRETCHES),
        batch_cells=math.ceil(n_cells / n_batches),  # batches are equal
        group_cells=group_cells(batch),
        n_batches=n_batches,
        n_epochs=n_epochs(n_batches, settings),
        learning_rate_factor=learning_rate_factor(n_batches),
        input_precision=input_precision(settings, in_batches=batch < n_cells),
        from_disk=machine.has_scratch and from_disk(n_cells, n_genes, settings, in_batches=batch < n_cells),
        n_processes=machine.n_processes,
        silhouette_cells=min(n_cells, MOST_IN_SILHOUETTE),
        drawn_cells=min(n_cells, MOST_DRAWN),
    )


# ---- Graph -----------------------------------------------------------------------------------------------------------

EXACT_UP_TO = 120_000
MOST_CANDIDATES = 120
_CANDIDATE_SHARE = 1 / 8
FEW_CELLS = 3000
COARSENED_FROM_CELLS, COARSENED_FROM_TIMES = 100_000, 8


def neighbor_search(n_cells: int) -> Search:
    """Comparing all cells with all is as fast as an index up to 120,000 of them, and exact."""
    return "exact" if n_cells <= EXACT_UP_TO else "index"


def n_candidates(n_cells: int, settings: Settings) -> int:
    """An eighth of all cells, at most 120: more would not be similar. A number that was set holds."""
    return settings.graph.n_candidates or min(MOST_CANDIDATES, max(2, round(_CANDIDATE_SHARE * n_cells)))


def averages(n_cells: int) -> int:
    """Averages over neighbours that reach as far as one in 3,000 cells, counted for cells that fill three dimensions.

    The more cells, the nearer are a cell's neighbours: averaged as often, moments would be as noisy as those of few cells, and
    displacements between them shorter, until they are noise alone.
    """
    return math.ceil(max(1.0, n_cells / FEW_CELLS) ** (2 / 3))


def moment_averages(n_cells: int, settings: Settings) -> int:
    """How often the moments are averaged before training."""
    return settings.graph.smooth_inputs * averages(n_cells)


def averages_over_groups(n_cells: int, *, times: int) -> bool:
    """Many averages of very many cells take a tenth of the time over groups of near cells (0.1% of a gene's variance)."""
    return n_cells > COARSENED_FROM_CELLS and times >= COARSENED_FROM_TIMES


# ---- Target assignment -----------------------------------------------------------------------------------------------

MOST_ANCHORS = 5000
"""Neighbourhoods with rates of their own: these overlap from a few thousand on, and each takes 32 bytes a gene."""
MOST_IN_STRETCHES = 3000
"""Stretches are found among as many cells as those the method was developed on; the cost rises with the square."""

# ---- Training --------------------------------------------------------------------------------------------------------

LARGEST_WHOLE, SMALLEST_BATCH, LARGEST_BATCH = 2000, 512, 2048
SMALLEST_BATCH_SET = 32
FEWEST_EPOCHS, FEWEST_EPOCHS_OF_MANY, STEPS_ENOUGH = 8, 3, 1200
MOST_IN_MEMORY = 2 * 2**30


def batch_cells(n_cells: int, settings: Settings) -> int:
    """Most cells of a step: all of up to 2,000; of more fewer and fewer, 512 from 2,813 on, then an eighth, at most 2,048.

    Batches of an epoch are equal: at 2,001 cells a step takes half of them instead of all. Mini-batches learn as much in as
    many steps, at the cost of their cells, and the fourth power brings that cost down quickly: no data set of up to 8,000
    cells trains longer than one of 2,000. A number that was set holds, from 32 on.
    """
    if asked := settings.training.batch_cells:
        return min(max(asked, SMALLEST_BATCH_SET), n_cells)
    if n_cells <= LARGEST_WHOLE:
        return n_cells
    falling = int(LARGEST_WHOLE * (LARGEST_WHOLE / n_cells) ** 4)
    return min(max(n_cells // 8, SMALLEST_BATCH, falling), LARGEST_BATCH)


SMALLEST_GROUP, LARGEST_GROUP, GROUPS_ENOUGH = 16, 64, 32


def group_cells(batch: int) -> int:
    """Cells that lie together share their neighbours, so a step is cheaper; a batch of few groups is less like the whole."""
    return min(max(batch // GROUPS_ENOUGH, SMALLEST_GROUP), LARGEST_GROUP)


def n_epochs(n_batches: int, settings: Settings) -> int:
    """As many steps in mini-batches as with all cells at once; at least 8 epochs, or 3 and 1,200 steps of very large data.

    From so many steps on more help little: "Batches" in docs/method.md.
    """
    asked = settings.training.n_epochs
    fewest = min(FEWEST_EPOCHS, max(FEWEST_EPOCHS_OF_MANY, math.ceil(STEPS_ENOUGH / n_batches)))
    return min(asked, max(math.ceil(asked / n_batches), fewest))


def learning_rate_factor(n_batches: int) -> float:
    """The more batches, the noisier a mini-batch's gradient: with full steps accuracy is lost. From four on 0.7."""
    return max(0.7, round(1.1 - 0.1 * n_batches, 1))


def input_precision(settings: Settings, *, in_batches: bool) -> Precision:
    """Half where there are many cells: rounding to one in two thousand is far below what counts tell.

    Counts that are not standardised may be more than half precision holds.
    """
    return "half" if in_batches and settings.variant.standardize_inputs else "single"


def from_disk(n_cells: int, n_genes: int, settings: Settings, *, in_batches: bool) -> bool:
    """More than 2 GB of moments lie in files where steps take mini-batches; the answer is the same but for rounding.

    Continuity in genes would read the displacements of all cells in every step.
    """
    own = settings.method == "deepvelo" and settings.variant.continuity == "components"
    return own and in_batches and 2 * 4 * n_cells * n_genes > MOST_IN_MEMORY


# ---- Scores and pictures ---------------------------------------------------------------------------------------------

MOST_IN_SILHOUETTE = 20_000
"""Cells of the silhouette, which compares every cell with every other."""
MOST_WALKED = 20_000
"""Cells of a connected component whose pseudotime takes arrows to neighbours' neighbours: of more, nearest neighbours alone.

scVelo's walk takes 5 GB at 100,000 cells. In the largest component of the sample's 3,000 cells both rank cells alike (0.994 to
0.997, four methods); in smaller components and data they do not always (-0.1 to 0.98).
"""
MOST_FACTORED = 5000
"""Cells whose transition matrix is factorised where ARPACK fails: the factors of a neighbour graph are nearly dense."""
MOST_DRAWN = 20_000
"""Points of one picture: more take a browser seconds and show no more, for they hide each other."""
MOST_STREAMED = 20_000
"""Cells that a stream is drawn by, one by one; of more, by the means of places a quarter of a grid step wide."""
MOST_OUTLINED = 10_000
"""Points that get a hair line, which keeps pale colours visible."""
MOST_IN_VIOLIN = 2000
"""Values of a violin: of more, as many quantiles give the same density and the same box."""
SHARE_IN_MEMORY = 0.5
"""A file that takes more of the free memory leaves too little for what is made of it: its counts stay in the file."""


def in_words(plan: Plan) -> list[tuple[str, str]]:
    """The plan as rows of a table, name and value."""
    of_cells = f"of {plan.n_cells:,} cells"
    steps = plan.n_batches * plan.n_epochs

    def sampled(n: int) -> str:
        return "all cells" if n >= plan.n_cells else f"{n:,} {of_cells}"

    return [
        ("Nearest neighbours", "exact" if plan.neighbor_search == "exact" else "found with an index"),
        ("Candidate neighbours", f"{plan.n_candidates:,} a cell, among {sampled(plan.candidate_cells)}"),
        (
            "Averages of the moments",
            f"{plan.input_averages:,}{', over groups of near cells' if plan.coarse_averages else ''}",
        ),
        ("Anchor cells of neighbourhood rates", sampled(plan.anchor_cells)),
        ("Cells cut into stretches", sampled(plan.stretch_cells)),
        ("Cells a step", f"{plan.batch_cells:,} {of_cells}" if plan.in_batches else "all cells"),
        ("Epochs", f"{plan.n_epochs:,} ({steps:,} steps)"),
        ("Learning rate", f"{plan.learning_rate_factor:g} times the setting"),
        ("Network input", f"{plan.input_precision} precision"),
        ("Moments during training", "in files" if plan.from_disk else "in memory"),
        ("Processes", f"{plan.n_processes:,}"),
        ("Silhouette of the rates", sampled(plan.silhouette_cells)),
        ("Points of a picture", sampled(plan.drawn_cells)),
    ]
