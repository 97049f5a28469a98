"""How right the lineages of a simulated branching tissue are: what was found against what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.accuracy_scores import area_under_curve, mean, rank_agreement
from deepvelo import keys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from deepvelo.datasets.tissue import Tissue

FORK: Final = 0.5  # time before a fork whose cells say how a gene was transcribed there
DRIVES: Final = 2.0  # times the transcription at the fork, at the tip


def tips(tissue: Tissue) -> dict[str, list[str]]:
    """Lineages from the root to each tip, by the tip's group: the last stage of a branch nothing descends from."""
    by_name = {part.name: part for part in tissue.lineages}
    found = {}
    for leaf in set(by_name) - {part.parent for part in tissue.lineages}:
        if by_name[leaf].parent is None:
            continue
        path, name = [leaf], by_name[leaf].parent
        while name is not None:
            path.insert(0, name)
            name = by_name[name].parent
        found[by_name[leaf].stages[-1].name] = path
    return dict(sorted(found.items()))


def fate_auc(fates: pd.DataFrame, lineages: np.ndarray, paths: dict[str, list[str]]) -> float:
    """Chance that a cell on a tip's branch is likelier to end there than one on another branch; mean over the tips.

    Over the committed cells, those past the fork. A tip that was not found says nothing: 0.5.

    Parameters
    ----------
    fates
        Probabilities, cells x tips.
    lineages
        True lineage of every cell.
    paths
        As `tips` gives them.
    """
    committed = np.isin(lineages, [path[-1] for path in paths.values()])
    chances = [
        area_under_curve(np.nan_to_num(fates.loc[committed, tip].to_numpy()), lineages[committed] == path[-1])
        if tip in fates
        else 0.5
        for tip, path in paths.items()
    ]
    return mean(np.array(chances))


def order(time: np.ndarray, truth: AnnData, paths: dict[str, list[str]]) -> dict[str, float]:
    """Spearman correlation with the true time, from the root to each tip."""
    lineages, true_time = (truth.obs[key].to_numpy() for key in (keys.LINEAGE, keys.TRUE_TIME))
    found = {}
    for tip, path in paths.items():
        inside = np.isin(lineages, path)
        found[tip] = rank_agreement(time[inside], true_time[inside])
    return found


def true_drivers(truth: AnnData, tissue: Tissue, tip: str) -> list[str]:
    """Genes transcribed at a tip at least twice as much as where its branch leaves: those simulated to drive it."""
    branch = next(part for part in tissue.lineages if part.stages[-1].name == tip)
    lineage, time = truth.obs[keys.LINEAGE], truth.obs[keys.TRUE_TIME]
    alpha = np.asarray(truth.layers[keys.TRUE_ALPHA], dtype=np.float64)
    at_fork = ((lineage == branch.parent) & (time > branch.start - FORK)).to_numpy()
    at_tip = (truth.obs[keys.CLUSTERS] == tip).to_numpy()
    drives = alpha[at_tip].mean(axis=0) > DRIVES * alpha[at_fork].mean(axis=0)
    return [str(gene) for gene in truth.var_names[drives]]
