"""Velocities and rates of an AnnData object in one call, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from anndata import AnnData

from deepvelo import checks, choices, config, keys
from deepvelo.plan import plan_of
from deepvelo.tl.velocity.earlier_fit import remove_earlier_fit
from deepvelo.tl.velocity.fit import fit_velocity

if TYPE_CHECKING:
    from deepvelo.config import Device, Preset

# What moments were computed with is past.
_KEPT = {"preparation": {"compare_in": "auto", "recompute_moments": False, "recompute_embedding": False}}


def velocity(
    adata: AnnData,
    *,
    n_neighbors: int | None = None,
    lambda_u: float | None = None,
    lambda_s: float | None = None,
    n_epochs: int | None = None,
    device: Device | None = None,
    preset: Preset | None = None,
    seed: int = 0,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    **settings: Any,
) -> None:
    r"""Fit rates and velocities to every cell and gene, in place.

    .. math:: \frac{ds}{dt} = \beta u - \gamma s, \qquad \frac{du}{dt} = \alpha - \beta u

    with rates of every cell from a graph convolutional network (Cui et al. 2022, eq. 1 to 3), trained so that
    velocities explain the displacements to each cell's future and past (eq. 4 to 7). The moments are averaged over the
    graph before the fit and the velocities after it, so ``velocity`` is not exactly ``beta Mu - gamma Ms``. Where total
    RNA grows along the velocity, the growth is part of it, unless ``total_rna="technical"``.

    Parameters
    ----------
    adata
        With moments and neighbours, as `deepvelo.pp.moments` or scVelo leaves them.
    n_neighbors
        Number of similar cells that each graph convolution averages. Default: 20.
    lambda_u, lambda_s
        Weights of the correlation of velocity with unspliced and with minus the spliced RNA (eq. 7). Default: 1.
    n_epochs
        Number of passes over the data; mini-batches of more than 2,000 cells use fewer. Default: 200.
    device
        ``"auto"`` (default) takes a GPU where there is one; or ``"cpu"``, ``"cuda"``.
    preset
        ``"default"`` or ``"published"``, whose values the arguments change. By default the one that
        `deepvelo.pp.moments` was called with, else ``"default"``.
    seed
        Seed of the network and of every sample. The same seed gives the same answer on one machine.
    on_epoch
        Called after every epoch with its number, from 1, and its loss terms. What it raises stops the fit.
    **settings
        Any other setting of the sections ``graph``, ``objective`` and ``training`` of `deepvelo.config.Settings`, e.g.
        ``n_candidates``, ``smooth_velocity``, ``total_rna``, ``learning_rate``.

    Sets
    ----
    layers ``velocity``, ``velocity_u``
        ds/dt and du/dt, float32 ``(n_cells, n_genes)``, normalised counts per unit time. Time has no physical unit. NaN in genes
        without spliced or unspliced signal.
    layers ``cell_specific_alpha``, ``cell_specific_beta``, ``cell_specific_gamma``
        Rates of transcription (normalised counts per unit time), splicing and degradation (per unit time), same shape.
    var ``velocity_genes``
        bool: genes with a velocity.
    uns ``deepvelo``
        ``settings``, ``plan`` (what the sizes decided), ``versions`` and ``history``, the loss terms by epoch.

    Removes what was computed from earlier velocities: their graph, arrows, times and scores.

    Raises
    ------
    InputError
        No moments or neighbours, fewer than two genes with a signal, an unknown setting or one out of range, or a
        training that fails.

    Examples
    --------
    >>> dv.tl.velocity(adata, n_epochs=5)
    >>> adata.layers["velocity"].shape == adata.shape
    True
    >>> float(adata.layers["cell_specific_beta"][:, adata.var["velocity_genes"]].min()) >= 0
    True
    """
    # Seconds to import; a page that only draws velocities needs none of it.
    from deepvelo.model.large_data.parallel import this_machine

    named = {"n_neighbors": n_neighbors, "lambda_u": lambda_u, "lambda_s": lambda_s, "n_epochs": n_epochs}
    chosen = choices.settings_of_fit(
        adata, preset=preset, seed=seed, options=named | {"device": device} | settings
    )
    checks.require_moments(adata)
    machine = this_machine(None)
    checks.require_fit(adata, config.replace(chosen, _KEPT), machine=machine)
    cluster_key, basis = choices.recorded_views(adata)
    remove_earlier_fit(adata)
    plan = plan_of(adata.n_obs, adata.n_vars, chosen, machine)
    fit = fit_velocity(adata, settings=chosen, plan=plan, on_epoch=on_epoch)
    choices.record(adata, chosen, cluster_key=cluster_key, basis=basis, plan=plan)
    history = pd.DataFrame(fit.history)
    history.insert(0, "epoch", range(1, len(history) + 1))
    adata.uns[keys.DEEPVELO]["history"] = {name: column.to_numpy() for name, column in history.items()}
