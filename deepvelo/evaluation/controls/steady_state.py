"""A run's scores beside those of its steady-state controls, in which no cell moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from deepvelo import keys
from deepvelo.evaluation.compare.edges import Edge, edge_name
from deepvelo.tl.metrics.boundary import boundary_means
from deepvelo.wording import decimal, number

if TYPE_CHECKING:
    from anndata import AnnData

STEADY_STATE_NOTE: Final = (
    "Cells at steady state have no true direction, yet a fit gives them one and neighbouring cells the same one. "
    "Their cross-boundary direction correctness is therefore near 0 only on average, and single fits lie far to either side."
)
CONSISTENCY_ROWS: Final = {
    keys.CONSISTENCY: "consistency, mean",
    keys.CONSISTENCY_CELLTYPE: "consistency within cell types, mean",
}


def scores_of_run(adata: AnnData, *, edges: Sequence[Edge], cluster_key: str, basis: str) -> pd.Series:
    """Mean consistency and CBDir of one run, on its own graph, moments and embedding.

    Parameters
    ----------
    adata
        A finished run by any method; its layers may be on disk.
    edges
        Source and target groups.

    Returns
    -------
    ``consistency, mean``, ``consistency within cell types, mean``, then ``A > B, embedding`` and ``A > B, genes`` for every edge;
    NaN where a score is not defined.
    """
    groups = adata.obs[cluster_key].astype(str).to_numpy()
    spaces = {
        "embedding": (adata.obsm[keys.velocity_embedding(basis)], adata.obsm[keys.embedding(basis)]),
        "genes": (adata.layers[keys.VELOCITY], adata.layers[keys.MS]),
    }
    scores = {name: float(adata.obs[key].mean()) for key, name in CONSISTENCY_ROWS.items()}
    for space, (arrows, positions) in spaces.items():
        means = boundary_means(
            arrows, positions, graph=adata.obsp[keys.DISTANCES], groups=groups, edges=edges
        )
        scores |= {f"{edge_name(edge)}, {space}": mean for edge, mean in zip(edges, means, strict=True)}
    return pd.Series(scores)


def steady_state_table(run: pd.Series, steady_state: Sequence[pd.Series]) -> pd.DataFrame:
    """A run's scores beside those of its steady-state controls.

    Parameters
    ----------
    run, steady_state
        From `scores_of_run`, of the run and of each control.

    Returns
    -------
    One row per score: ``run``, and over the controls ``mean``, ``sd`` (NaN with one), ``lowest``, ``highest``,
    ``as_high`` (number of controls that reach the run's score) and ``n`` (number of controls with the score).
    """
    controls = pd.DataFrame(list(steady_state)).reindex(columns=run.index).astype(float)
    return pd.DataFrame(
        {
            "run": run,
            "mean": controls.mean(),
            "sd": controls.std(),
            "lowest": controls.min(),
            "highest": controls.max(),
            "as_high": controls.ge(run).sum(),
            "n": controls.notna().sum(),
        }
    )


def beyond_steady_state(table: pd.DataFrame) -> list[str]:
    """Sentences on `steady_state_table`: how many scores the control never reaches, then one sentence for each of them."""
    known = table[table["run"].notna() & (table["n"] > 0)]
    beyond = known[known["as_high"] == 0]
    if known.empty:
        return []
    if beyond.empty:
        first = (
            f"The steady-state control reaches {_all_of(len(known))}: none of them proves that cells move."
        )
    else:
        first = f"The steady-state control does not reach {len(beyond)} of {number(len(known), 'score')}; the others prove no movement."
    sentences = [first, *(_sentence(str(score), row) for score, row in beyond.iterrows())]
    if len(beyond):
        n_fits = int(known["n"].min())
        sentences.append(
            f"With {number(n_fits, 'fit')}, chance alone gives such a result for about 1 score in {n_fits + 1}."
        )
    return sentences


def _all_of(n_scores: int) -> str:
    return "this score" if n_scores == 1 else f"each of these {n_scores} scores in some fit"


def _sentence(score: str, row: pd.Series) -> str:
    run, highest = (decimal(row[name], 2) for name in ("run", "highest"))
    return f"{score}: {run}; steady-state control at most {highest} in {number(int(row['n']), 'fit')}."
