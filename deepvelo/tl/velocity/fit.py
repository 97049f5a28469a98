"""Fit the model to an object with moments, and write rates and velocities where scVelo looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.arrays.layers import blocks_of, fill, gene_blocks, new_layer
from deepvelo.config import Settings
from deepvelo.errors import InputError
from deepvelo.plan import Plan, plan_of
from deepvelo.tl.velocity.growth import add_growth, growth_rates
from deepvelo.tl.velocity.smoothing import GraphAverage

if TYPE_CHECKING:
    from deepvelo.arrays.layers import WritableLayer
    from deepvelo.arrays.on_disk import Columns
    from deepvelo.model.large_data.checkpoint import Checkpoint
    from deepvelo.model.training import Fit, OnEpoch


def fit_velocity(
    adata: AnnData,
    *,
    settings: Settings,
    plan: Plan | None = None,
    on_epoch: OnEpoch | None = None,
    scratch: Path | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """Fit cell-specific rates to an object with moments, in place; `deepvelo.tl.velocity` with settings and files.

    The moments are smoothed before the fit and the velocities after it (`deepvelo.tl.velocity.smoothing`). With any
    smoothing, ``velocity`` is not ``beta Mu - gamma Ms`` cell by cell. Where total RNA grows along the velocity
    (``settings.graph.total_rna``), the growth is part of it, and ``cell_specific_gamma`` includes the dilution.

    Parameters
    ----------
    adata
        With layers ``Ms`` and ``Mu`` and ``obsp["connectivities"]``, as `deepvelo.pp.prepare.prepare` leaves it.
    plan
        What the sizes decide; by default `deepvelo.plan.plan_of` this object.
    on_epoch, checkpoint
        See `deepvelo.model.training.train`.
    scratch
        A folder for the layers, which then are Zarr arrays and take no memory; they last as long as it does. What the
        training needs of many cells (`deepvelo.plan.from_disk`) is there while it lasts, too.

    Sets
    ----
    layers ``velocity``, ``velocity_u``, ``cell_specific_alpha``, ``cell_specific_beta``, ``cell_specific_gamma``
        float32; NaN in genes that have no spliced or no unspliced signal.
    var ``velocity_genes``
        bool: the genes that have a velocity.

    Raises
    ------
    InputError
        Fewer than two genes have a signal, or the training fails.
    OSError
        The layers cannot be written to ``scratch``.
    """
    # Seconds to import; a page that only draws velocities needs none of it.
    from deepvelo.model.large_data.parallel import this_machine
    from deepvelo.model.training import train

    average = GraphAverage(adata)
    plan = plan or plan_of(adata.n_obs, adata.n_vars, settings, this_machine(scratch))
    with _folder(plan, scratch) as folder:
        spliced, unspliced, used = _moments(adata, average, times=plan.input_averages, folder=folder)
        fit = train(
            spliced, unspliced, settings=settings, plan=plan, on_epoch=on_epoch, checkpoint=checkpoint
        )
        layers = {
            key: new_layer(adata.shape, path=scratch / key if scratch else None)
            for key in (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES)
        }
        _write(layers, fit, spliced, unspliced, used=used, average=average, settings=settings)
        if settings.graph.total_rna == "biological":
            _give_back_growth(
                adata, layers, fit, spliced, unspliced, used=used, average=average, settings=settings
            )
    for key, layer in layers.items():
        adata.layers[key] = layer
    adata.var[keys.VELOCITY_GENES] = used
    return fit


@contextmanager
def _folder(plan: Plan, scratch: Path | None) -> Iterator[Path | None]:
    """Where moments and what is made of them lie during the training; None: in memory."""
    if scratch is None or not plan.from_disk:
        yield None
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder)


def _moments(
    adata: AnnData, average: GraphAverage, *, times: int, folder: Path | None
) -> tuple[Columns, Columns, np.ndarray]:
    """Smoothed spliced and unspliced moments of the genes that have both, and which these are."""
    import torch

    from deepvelo.arrays.on_disk import ColumnsInMemory, ColumnWriter

    layers = [adata.layers[key] for key in (keys.MS, keys.MU)]
    used = np.zeros(adata.n_vars, dtype=bool)
    with ExitStack() as files:
        kept: list[ColumnsInMemory | ColumnWriter]
        if folder is None:
            kept = [ColumnsInMemory(adata.n_vars) for _ in layers]
        else:
            kept = [files.enter_context(ColumnWriter(folder / key)) for key in (keys.MS, keys.MU)]
        for genes in gene_blocks(layers[0]):
            blocks = [average(layer[:, genes], times=times) for layer in layers]
            chosen = np.all([block.max(axis=0) > 0 for block in blocks], axis=0)
            for values, block in zip(kept, blocks, strict=True):
                values.add(torch.from_numpy(block[:, chosen]))
            used[genes] = chosen
    n_used = int(used.sum())
    if n_used < 2:
        msg = (
            f"A fit needs at least 2 genes with both spliced and unspliced signal. Found {n_used} of {len(used)}. "
            "Lower `preparation.min_shared_counts`, or check that the unspliced layer is the right one."
        )
        raise InputError(msg)
    # One after the other: in memory each is a copy unless all genes are used.
    spliced, unspliced = (kept.pop(0).values() for _ in layers)
    return spliced, unspliced, used


def _write(
    layers: dict[str, WritableLayer],
    fit: Fit,
    spliced: Columns,
    unspliced: Columns,
    *,
    used: np.ndarray,
    average: GraphAverage,
    settings: Settings,
) -> None:
    """Rates, and the velocities that follow from them averaged over the graph, one block of genes at a time."""
    from deepvelo.model.assignment.kinetics import spliced_velocity, unspliced_velocity

    for genes, places in blocks_of(layers[keys.VELOCITY], used):
        alpha, beta, gamma = fit.rates(places)
        s, u = spliced[:, places], unspliced[:, places]
        rates = {keys.BETA: beta, keys.GAMMA: gamma}
        velocities = {keys.VELOCITY: spliced_velocity(u, s, beta=beta, gamma=gamma)}
        # Without it nothing in the objective decided alpha: better no number than a meaningless one.
        if settings.variant.unspliced_velocity:
            rates[keys.ALPHA] = alpha
            velocities[keys.VELOCITY_U] = unspliced_velocity(u, alpha=alpha, beta=beta)
        for key, values in rates.items():
            fill(layers[key], genes, values.numpy(), chosen=used)
        for key, values in velocities.items():
            smooth = average(values.numpy(), times=settings.graph.smooth_velocity)
            fill(layers[key], genes, smooth, chosen=used)


def _give_back_growth(
    adata: AnnData,
    layers: dict[str, WritableLayer],
    fit: Fit,
    spliced: Columns,
    unspliced: Columns,
    *,
    used: np.ndarray,
    average: GraphAverage,
    settings: Settings,
) -> None:
    """Add the growth of total RNA to both velocities, in place; nothing where total counts are not known."""
    velocity, times = layers[keys.VELOCITY], settings.graph.smooth_velocity
    growth = growth_rates(
        adata, velocity, fit.components, fit.neighbors, average, chosen=used, settings=settings
    )
    if growth is None:
        return
    add_growth(velocity, growth, spliced, average, chosen=used, times=times)
    if settings.variant.unspliced_velocity:
        add_growth(layers[keys.VELOCITY_U], growth, unspliced, average, chosen=used, times=times)
