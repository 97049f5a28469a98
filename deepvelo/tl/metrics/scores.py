"""Scores of a velocity fit on an AnnData object, in place; what they are of arrays is in the modules beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anndata import AnnData

from deepvelo import choices, config, keys
from deepvelo.errors import InputError
from deepvelo.tl.metrics.confidence import direction_confidence
from deepvelo.tl.metrics.consistency import celltype_consistency, lengths, neighbor_consistency
from deepvelo.tl.rates.multikinetic import multikinetic_score

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.model.training import Fit


def consistency(adata: AnnData, *, cluster_key: str | None = None) -> None:
    """Score how smooth velocities are: among neighbours, and within cell types, in place.

    Mean cosine of each cell's velocity with those of its neighbours (overall consistency), and with those of all
    other cells of its group (cell-type-wise consistency), as in Cui et al. 2022, section 3.1. Smooth is not correct:
    velocities are averaged over the same neighbours.

    Parameters
    ----------
    adata
        With the layer ``velocity`` of any method and ``obsp["distances"]``.
    cluster_key
        Column of ``obs`` with the groups. By default the one that `deepvelo.pp.moments` chose.

    Sets
    ----
    obs ``velocity_consistency``, ``velocity_consistency_celltype``
        float64, -1 to 1; NaN for a cell whose velocity is 0, or that has nothing to be compared with.

    Raises
    ------
    InputError
        No velocities, neighbours or groups.

    Examples
    --------
    >>> dv.tl.consistency(fitted, cluster_key="clusters")
    >>> bool(fitted.obs["velocity_consistency"].mean() > 0.5)
    True
    """
    _require(adata, keys.VELOCITY)
    groups = adata.obs[choices.grouping(adata, cluster_key)]
    velocity = adata.layers[keys.VELOCITY]
    length = lengths(velocity)
    adata.obs[keys.CONSISTENCY] = neighbor_consistency(velocity, adata.obsp[keys.DISTANCES], length=length)
    adata.obs[keys.CONSISTENCY_CELLTYPE] = celltype_consistency(velocity, groups, length=length)


def confidence(adata: AnnData, *, cluster_key: str | None = None) -> None:
    """Estimate the probability that each cell's direction is right, in place.

    A logistic function of evidence that smoothness cannot fake, calibrated on simulated tissue whose directions are
    known (`deepvelo.tl.metrics.confidence`; ``docs/method.md``, "Confidence").

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity` leaves it.
    cluster_key
        Column of ``obs`` with the groups; in groups of at most 30 cells the direction is undecided. By default the one
        that `deepvelo.pp.moments` chose.

    Sets
    ----
    obs ``direction_confidence``
        float64, 0.5 (a coin flip) to 1.
    obs ``direction_undecided``
        bool: the counts support both directions about equally, or the group has too few cells to tell.
    var ``direction_confidence``
        Score of each gene, 0 to 1; NaN for a gene without velocity.

    Raises
    ------
    InputError
        No rates of single cells, neighbours or groups.

    Examples
    --------
    >>> dv.tl.confidence(fitted, cluster_key="clusters")
    >>> bool(fitted.obs["direction_confidence"].between(0.5, 1).all())
    True
    """
    _require(adata, keys.VELOCITY, keys.BETA, keys.GAMMA, keys.MU, keys.MS)
    settings = choices.recorded_settings(adata) or config.Settings()
    write_confidence(adata, settings=settings, cluster_key=choices.grouping(adata, cluster_key))


def write_confidence(adata: AnnData, *, settings: Settings, cluster_key: str, fit: Fit | None = None) -> None:
    """`confidence` with the settings of a fit, and the fit where it is still there, which saves time."""
    found = direction_confidence(adata, settings=settings, fit=fit, cluster_key=cluster_key)
    adata.obs[keys.CONFIDENCE], adata.var[keys.CONFIDENCE] = found.cells, found.genes
    adata.obs[keys.UNDECIDED] = found.undecided


def multikinetic_genes(adata: AnnData, *, cluster_key: str | None = None) -> None:
    """Score how much each gene's ratio of degradation to splicing differs between groups of cells, in place.

    The standard deviation over groups of log(gamma / beta), beyond what counting noise explains
    (`deepvelo.tl.rates.multikinetic`).

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity` leaves it.
    cluster_key
        Column of ``obs`` with the groups. By default the one that `deepvelo.pp.moments` chose.

    Sets
    ----
    var ``multikinetic_score``
        float64, 0 or more; NaN for a gene without velocity.

    Raises
    ------
    InputError
        No velocities, moments or groups.

    Examples
    --------
    >>> dv.tl.multikinetic_genes(fitted, cluster_key="clusters")
    >>> bool((fitted.var["multikinetic_score"].dropna() >= 0).all())
    True
    """
    _require(adata, keys.VELOCITY, keys.MU, keys.MS)
    groups = adata.obs[choices.grouping(adata, cluster_key)]
    adata.var[keys.MULTIKINETIC_SCORE] = multikinetic_score(
        adata.layers[keys.MU], adata.layers[keys.MS], adata.layers[keys.VELOCITY], groups=groups
    )


def _require(adata: AnnData, *layers: str) -> None:
    if missing := [key for key in layers if key not in adata.layers]:
        msg = f"`adata.layers` is missing {missing}. Found {list(adata.layers)}. Run `deepvelo.tl.velocity(adata)` first."
        raise InputError(msg)
    if not all(key in adata.obsp for key in (keys.DISTANCES, keys.CONNECTIVITIES)):
        msg = "`adata.obsp` has no neighbour graph. Run `deepvelo.pp.moments(adata)` first."
        raise InputError(msg)
