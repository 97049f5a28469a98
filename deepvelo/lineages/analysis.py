"""Compute trajectory, fate probabilities and driver genes of a finished run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo import checks, keys
from deepvelo.errors import InputError
from deepvelo.lineages.settings import LineageSettings
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.tl import Fates, Trajectory

Stage = Literal["trajectory", "fates", "drivers"]
LAYERS: Final = (keys.MS, keys.VELOCITY, *keys.RATES)
"""What `analyse` reads, besides ``X``."""


@dataclass(frozen=True, kw_only=True)
class Lineages:
    """Result of a lineage analysis.

    ``cells``
        One row per cell: ``pseudotime`` and ``latent_time`` (0 to 1, NaN where undefined), ``part`` (connected component,
        0 for the largest; missing if it is too small for a latent time), ``macrostate`` (category, NaN for most cells),
        then ``fate: NAME``, the probability of each terminal state.
    ``edges``
        Directed PAGA with one row per edge, see `deepvelo.tl.Trajectory`.
    ``drivers``
        One row per lineage and gene, see `deepvelo.tl.lineage.drivers`.
    """

    settings: LineageSettings
    root: str
    last_groups: tuple[str, ...]
    """Groups with incoming and without outgoing PAGA edges; terminal states are in `lineages`."""
    cells: pd.DataFrame
    edges: pd.DataFrame
    drivers: pd.DataFrame
    warnings: tuple[str, ...]
    seconds: float

    @property
    def lineages(self) -> list[str]:
        """Names of the terminal states, in the order of their columns."""
        return [str(name).removeprefix(FATE) for name in self.cells if str(name).startswith(FATE)]

    @property
    def fates(self) -> pd.DataFrame:
        """Fate probabilities, ``(n_cells, n_lineages)``, one column per terminal state."""
        return self.cells[[f"{FATE}{name}" for name in self.lineages]].set_axis(self.lineages, axis=1)


FATE = "fate: "


def analyse(
    adata: AnnData, settings: LineageSettings, *, on_stage: Callable[[Stage], None] | None = None
) -> Lineages:
    """Compute trajectory, fates and drivers of a finished run by any method; ``adata`` is not changed.

    Parameters
    ----------
    adata
        The result of a run with `LAYERS` and ``X``, in memory or on disk. A missing velocity graph is computed.
    on_stage
        Called before each stage. Exceptions stop the analysis and propagate.

    Raises
    ------
    InputError
        The run or the settings allow no trajectory or no fates.
    """
    from deepvelo import tl

    tell = on_stage or (lambda _: None)
    started = time.perf_counter()
    tell("trajectory")
    adata, notes = _as_fitted(adata)
    trajectory = tl.trajectory(
        adata,
        cluster_key=settings.cluster_key,
        root=settings.root,
        terminal=list(settings.terminal) or None,
    )
    tell("fates")
    fates = tl.fates(
        adata,
        cluster_key=settings.cluster_key,
        terminal=list(settings.terminal) or None,
        n_states=settings.n_states,
        weight_connectivities=settings.weight_connectivities,
        stability=settings.stability,
        seed=settings.seed,
    )
    tell("drivers")
    drivers = tl.drivers(adata, fates, pseudotime=trajectory.latent_time)
    cells = pd.DataFrame(
        {
            "pseudotime": trajectory.pseudotime,
            "latent_time": trajectory.latent_time,
            "part": pd.array(np.where(trajectory.part < 0, np.nan, trajectory.part), dtype="Int64"),
            "macrostate": fates.macrostates.array,
        },
        index=adata.obs_names,
    )
    return Lineages(
        settings=settings,
        root=trajectory.root,
        last_groups=tuple(trajectory.last_groups),
        cells=cells.join(fates.probabilities.add_prefix(FATE)),
        edges=trajectory.edges,
        drivers=drivers,
        warnings=tuple(
            dict.fromkeys(
                [
                    *_terminal_state_warnings(
                        trajectory, fates, root=settings.root, chosen=bool(settings.terminal)
                    ),
                    *notes,
                    *trajectory.warnings,
                    *fates.warnings,
                ]
            )
        ),
        seconds=time.perf_counter() - started,
    )


def _as_fitted(adata: AnnData) -> tuple[AnnData, list[str]]:
    """Convert sparse layers to dense ones and compute a missing velocity graph, with a note."""
    sparse_layers = [key for key in LAYERS if sparse.issparse(adata.layers.get(key))]
    no_graph = (
        keys.VELOCITY_GRAPH not in adata.uns and keys.VELOCITY in adata.layers and checks.has_neighbors(adata)
    )
    if not sparse_layers and not no_graph:
        return adata, []
    from deepvelo import tl
    from deepvelo.contents import imported
    from deepvelo.pp.prepare import shared_copy

    if no_graph and keys.MS not in adata.layers:
        msg = (
            f"The velocity graph is missing, and so are the moments to compute it from (layer '{keys.MS}'). "
            "Run scVelo's `pp.moments` first."
        )
        raise InputError(msg)
    found = shared_copy(adata)
    for key in sparse_layers:
        found.layers[key] = adata.layers[key].toarray()
    if not no_graph:
        return found, []
    velocity = found.layers[keys.VELOCITY]
    values = imported.known_values(velocity, imported.velocity_genes(adata))
    found.var[keys.VELOCITY_GENES] = values.genes
    if values.n_missing or not values.cells.all():
        found.layers[keys.VELOCITY] = imported.with_zeros(velocity, values.genes)[:, :]
    tl.velocity_graph(found)
    return found, ["The velocity graph was computed here: the file has none."]


def _terminal_state_warnings(
    trajectory: Trajectory, fates: Fates, *, root: str | None, chosen: bool
) -> list[str]:
    """Warnings where terminal states contradict the PAGA edges or the chosen root."""
    found = []
    terminal_states = fates.terminal
    if root in terminal_states:
        only = "the only terminal state" if len(terminal_states) == 1 else "one of the terminal states"
        found.append(
            f"The chosen root '{root}' is also {only} of the fates: the arrows lead into it. Choose another root, or "
            "choose the terminal states by hand."
        )
    further = [group for group in trajectory.last_groups if group not in terminal_states]
    left = [end for end in terminal_states if end in set(trajectory.edges["source"])]
    told = [f"end in {listed(further)}, which is no terminal state of the fates"] if further else []
    told += [f"leave {listed(left)}, where fates end"] if left else []
    if told:
        remedy = (
            "Choose it too if lineages end there"
            if chosen
            else "Choose terminal states by hand if you know them"
        )
        found.append(f"The arrows between groups {', and '.join(told)}. {remedy}.")
    return found
