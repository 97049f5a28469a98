"""The quality gate of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepvelo import checks
from deepvelo.evaluation.gate import batches, counts, directions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from deepvelo.evaluation.gate.directions import Control
    from deepvelo.evaluation.gate.finding import GateFinding


def quality_gate(
    adata: AnnData,
    *,
    cluster_key: str,
    control: Control | None = None,
    methods_agreement: np.ndarray | None = None,
    sweep: pd.DataFrame | None = None,
    batch_key: str | None = None,
) -> list[GateFinding]:
    """Findings for and against the arrows of a run; `deepvelo.evaluation.gate.worst` summarises them.

    Parameters
    ----------
    adata
        A finished run, by any method; not changed.
    cluster_key
        Column of ``obs`` with the groups of the run.
    control
        Result of its finished shuffled control.
    methods_agreement
        Mean cosine of this and other methods in each cell, as ``deepvelo.evaluation.compare.Comparison.agreement``,
        shape ``(n_cells,)``.
    sweep
        As `deepvelo.evaluation.controls.sensitivity_table` gives it.
    batch_key
        Column of ``obs`` with the batch of each cell.

    Returns
    -------
    Always the same findings in the same order; those that lack their input are "not checked".

    Raises
    ------
    InputError
        ``obs`` lacks ``cluster_key`` or ``batch_key``.
    """
    checks.require_column(adata, cluster_key)
    return [
        directions.better_than_control(adata, control),
        directions.not_static(adata),
        directions.methods_agree(methods_agreement),
        directions.survives_sweep(sweep),
        counts.unspliced_fraction(adata),
        counts.unspliced_by_group(adata, cluster_key=cluster_key),
        counts.layers_are_counts(adata),
        counts.enough_genes(adata),
        batches.batches_mixed(adata, batch_key=batch_key, cluster_key=cluster_key),
    ]
