"""Scores of several methods, statistical tests between them, and warnings on their interpretation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.evaluation.compare.edges import Edge, default_edges, edge_name, require_edges
from deepvelo.evaluation.compare.match import Matched
from deepvelo.evaluation.compare.reference import arrows_from_velocity
from deepvelo.tl.metrics.agreement import agreement, common_genes
from deepvelo.tl.metrics.boundary import boundary_scores
from deepvelo.tl.metrics.coherence import coherence
from deepvelo.tl.metrics.consistency import celltype_consistency, neighbor_consistency
from deepvelo.tl.metrics.effect_size import mann_whitney, p_text
from deepvelo.wording import number

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

SMOOTHING_NOTE: Final = (
    "Consistency and coherence rise with every averaging over the graph, for any method and for any tissue, moving or "
    "not: compare methods at equal smoothing, and read them beside cross-boundary direction correctness (CBDir)."
)
EFFECT_NOTE: Final = (
    "With many cells p is tiny for any difference: read the effect, the probability that a random cell of A scores "
    "higher than one of B (0.5 is no difference)."
)
CONSISTENCY, CELLTYPE, COHERENCE = "consistency", "consistency_celltype", "coherence"
IN_EMBEDDING, IN_GENES = "boundary_embedding", "boundary_genes"
# One-line definitions.
SCORES: Final[dict[str, str]] = {
    CONSISTENCY: "mean cosine of a cell's velocity with those of its graph neighbours",
    CELLTYPE: "mean cosine of a cell's velocity with those of all other cells of its group",
    COHERENCE: "mean cosine of a cell's velocity with those of its graph neighbours of the same group",
    IN_EMBEDDING: "CBDir: mean cosine of a source cell's arrow with the displacements to its neighbours in the target, on "
    "the embedding",
    IN_GENES: "CBDir: mean cosine of a source cell's velocity with the displacements to its neighbours in the target, over "
    "genes",
    "n_velocity_genes": "genes for which the method gives a velocity",
    "seconds": "time of the fit, without preparation",
    "peak_memory_mb": "peak memory of the run, in MB",
}
FEW_CELLS: Final = 5  # fewer source cells give a warning
SMOOTHNESS: Final = (CONSISTENCY, CELLTYPE, COHERENCE)
"""Scores that rise with smoothing over the graph."""
_BOUNDARIES = (IN_EMBEDDING, IN_GENES)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Scores of several methods on the same cells.

    ``table``
        One row per method: median and mean of every score in `SMOOTHNESS` (``consistency_median``, ...), CBDir of every
        edge (``boundary_genes: A > B``) and their mean (``boundary_genes``), ``n_velocity_genes``, ``seconds``,
        ``peak_memory_mb``; NaN where a score is not defined.
    ``tests``
        One row per score and pair of methods: ``score``, ``a``, ``b``, ``median_a``, ``median_b``, ``u``, ``p``,
        ``p_text``, ``effect``.
    ``cells``
        By method, the scores of every cell in columns; CBDir is averaged over the targets of a cell.
    ``agreement``
        Mean cosine over the pairs of methods for every cell, over ``n_common_genes`` genes.
    ``equally_smooth``
        Whether all methods are smoothed equally; otherwise the scores in `SMOOTHNESS` give no ranking.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    cells: dict[str, pd.DataFrame]
    agreement: pd.Series
    n_common_genes: int
    facts: pd.DataFrame
    edges: list[Edge]
    cluster_key: str
    basis: str | None
    smooth: int | None
    equally_smooth: bool
    warnings: list[str]

    @property
    def n_cells(self) -> int:
        """Number of scored cells."""
        return len(self.agreement)


def compare(matched: Matched, *, edges: Sequence[Edge] | None = None) -> Comparison:
    """Score every method on the shared cells and genes.

    Parameters
    ----------
    matched
        From `deepvelo.evaluation.compare.match`; pass ``matched.smoothed(n)`` to smooth all velocities alike first.
    edges
        Source and target groups for CBDir; by default those of the granule lineage that exist.

    Raises
    ------
    InputError
        An edge names an unknown group.
    """
    known = [str(group) for group in matched.groups.cat.categories]
    if edges is None:
        edges = default_edges(known)
    require_edges(edges, groups=known)
    edges = list(edges)
    moving = matched.moving()
    by_edge = {name: _boundaries(matched, name, edges) for name in moving}
    cells = {name: _score_cells(matched, name, by_edge.get(name)) for name in matched.velocities}
    velocities = list(moving.values())
    of_cells = agreement(velocities) if len(moving) > 1 else np.full(matched.reference.n_obs, np.nan)
    return Comparison(
        table=_table(matched, cells, by_edge, edges),
        tests=_tests(cells),
        cells=cells,
        agreement=pd.Series(of_cells, index=matched.reference.obs_names, name="agreement"),
        n_common_genes=int(common_genes(velocities).sum()) if velocities else 0,
        facts=matched.facts,
        edges=edges,
        cluster_key=matched.cluster_key,
        basis=matched.basis,
        smooth=matched.smooth,
        equally_smooth=matched.equally_smooth,
        warnings=[*matched.warnings, *matched.smoothing_warnings(), *_warnings(matched, by_edge, edges)],
    )


def definition(column: str) -> str:
    """The one-line definition of a column of the table."""
    score = column.partition(":")[0].removesuffix("_median").removesuffix("_mean")
    return SCORES[score]


def _boundaries(matched: Matched, name: str, edges: Sequence[Edge]) -> dict[str, np.ndarray]:
    """CBDir of every cell by column of the table, without edges that have a group of one cell."""
    if not edges:
        return {}
    sizes = matched.groups.value_counts()
    reference, velocity = matched.reference, matched.velocities[name]
    spaces: dict[str, tuple[Layer, Layer]] = {IN_GENES: (velocity, matched.moments)}
    if matched.basis is not None:
        arrows = (
            matched.arrows[name]
            if matched.arrows is not None
            else arrows_from_velocity(reference, velocity, moments=matched.moments, basis=matched.basis)
        )
        spaces = {IN_EMBEDDING: (arrows, reference.obsm[keys.embedding(matched.basis)])} | spaces
    scored = [edge for edge in edges if sizes[list(edge)].min() > 1]
    found: dict[str, np.ndarray] = {}
    for space, (directions, positions) in spaces.items():
        scores = boundary_scores(
            directions,
            positions,
            graph=reference.obsp[keys.DISTANCES],
            groups=matched.groups.to_numpy(),
            edges=scored,
        )
        found |= {f"{space}: {edge_name(edge)}": score for edge, score in zip(scored, scores, strict=True)}
    return found


def _score_cells(matched: Matched, name: str, boundaries: dict[str, np.ndarray] | None) -> pd.DataFrame:
    """All scores of every cell; NaN for a method without any velocity."""
    scores = pd.DataFrame(np.nan, index=matched.reference.obs_names, columns=[*SMOOTHNESS, *_BOUNDARIES])
    if boundaries is None:
        return scores
    velocity, graph = matched.velocities[name], matched.reference.obsp[keys.DISTANCES]
    length = matched.lengths[name]
    scores[CONSISTENCY] = neighbor_consistency(velocity, graph, length=length)
    scores[CELLTYPE] = celltype_consistency(velocity, matched.groups, length=length)
    scores[COHERENCE] = coherence(velocity, graph, matched.groups, length=length)
    for space in _BOUNDARIES:
        of_space = [values for column, values in boundaries.items() if column.startswith(f"{space}:")]
        if of_space:
            scores[space] = pd.DataFrame(of_space).mean().to_numpy()
    return scores


def _table(
    matched: Matched,
    cells: dict[str, pd.DataFrame],
    by_edge: dict[str, dict[str, np.ndarray]],
    edges: Sequence[Edge],
) -> pd.DataFrame:
    rows = {}
    for name, scores in cells.items():
        row: dict[str, float] = {}
        for score in SMOOTHNESS:
            row |= {f"{score}_median": _median(scores[score]), f"{score}_mean": scores[score].mean()}
        for space in _BOUNDARIES if edges else ():
            columns = [f"{space}: {edge_name(edge)}" for edge in edges]
            means = {column: _mean(by_edge.get(name, {}).get(column)) for column in columns}
            row |= {space: pd.Series(means).mean()} | means
        rows[name] = row
    costs = matched.facts[["n_velocity_genes", "seconds", "peak_memory_mb"]]
    return pd.DataFrame.from_dict(rows, orient="index").join(costs).rename_axis("method")


def _tests(cells: dict[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["score", "a", "b", "median_a", "median_b", "u", "p", "p_text", "effect"]
    rows = []
    for score in (*SMOOTHNESS, *_BOUNDARIES):
        for a, b in itertools.combinations(cells, 2):
            of_a, of_b = cells[a][score], cells[b][score]
            found = mann_whitney(of_a.to_numpy(), of_b.to_numpy())
            if np.isfinite(found.p):
                medians = {"median_a": _median(of_a), "median_b": _median(of_b)}
                rows.append(
                    {"score": score, "a": a, "b": b} | medians | found._asdict() | {"p_text": p_text(found.p)}
                )
    return pd.DataFrame(rows, columns=columns)


def _warnings(
    matched: Matched, by_edge: dict[str, dict[str, np.ndarray]], edges: Sequence[Edge]
) -> Iterable[str]:
    for name in matched.velocities:
        if name not in by_edge:
            yield f"All velocities of {name} are zero or missing, so it has no scores; look at its fit, or leave it out."
    if not edges:
        yield "No edges from a source to a target group are named, so cross-boundary direction correctness is not computed."
    sizes = matched.groups.value_counts()
    for edge in edges:
        alone = [group for group in edge if sizes[group] == 1]
        if alone:
            yield f"The boundary {edge_name(edge)} has no score: group {alone[0]} has one cell."
        elif by_edge and all(
            np.isnan(scores[f"{IN_GENES}: {edge_name(edge)}"]).all() for scores in by_edge.values()
        ):
            yield f"The boundary {edge_name(edge)} has no score: no source cell has a neighbour in the target."
        elif by_edge:
            scored = max(np.isfinite(s[f"{IN_GENES}: {edge_name(edge)}"]).sum() for s in by_edge.values())
            if scored < FEW_CELLS:
                yield (
                    f"The boundary {edge_name(edge)} rests on {number(int(scored), 'cell')}: do not interpret its scores or "
                    "the mean over the boundaries."
                )


def _mean(values: np.ndarray | None) -> float:
    return float("nan") if values is None else float(pd.Series(values).mean())


def _median(values: pd.Series) -> float:
    return float(values.dropna().median())  # of NaN alone, NaN without a warning
