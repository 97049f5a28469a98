"""From a finished run to its lineages: trajectory, fates and driver genes, in one go."""

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
    """What an analysis leaves.

    ``cells``
        One row a cell: ``pseudotime`` and ``latent_time`` (0 to 1, NaN where undefined), ``part`` (of the data, from 0,
        the largest; missing where it is too small for a time), ``macrostate`` (category, NaN for most cells), then
        ``fate: NAME``, the probability of each end.
    ``edges``
        Directed PAGA, one row an edge: see `deepvelo.tl.Trajectory`.
    ``drivers``
        One row a lineage and gene: see `deepvelo.tl.lineage.drivers`.
    """

    settings: LineageSettings
    root: str
    last_groups: tuple[str, ...]
    """Groups that edges lead into and none out of; what cells end in is `lineages`, and only that is called an end."""
    cells: pd.DataFrame
    edges: pd.DataFrame
    drivers: pd.DataFrame
    warnings: tuple[str, ...]
    seconds: float

    @property
    def lineages(self) -> list[str]:
        """Names of the ends, in the order of their columns."""
        return [str(name).removeprefix(FATE) for name in self.cells if str(name).startswith(FATE)]

    @property
    def fates(self) -> pd.DataFrame:
        """Fate probabilities, ``(n_cells, n_lineages)``, a column each."""
        return self.cells[[f"{FATE}{name}" for name in self.lineages]].set_axis(self.lineages, axis=1)


FATE = "fate: "


def analyse(
    adata: AnnData, settings: LineageSettings, *, on_stage: Callable[[Stage], None] | None = None
) -> Lineages:
    """Trajectory, fates and drivers of a finished run, by any method; ``adata`` is not changed.

    Parameters
    ----------
    adata
        As a run leaves it, with `LAYERS` and ``X``, in memory or on disk. A missing velocity graph is computed.
    on_stage
        Told before each part. What it raises stops the analysis and is passed on.

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
    """Another tool's object with dense layers and the velocity graph that it lacks, and a note; others as they are."""
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
            f"The velocity graph is missing, and so are the moments that it is computed of (layer '{keys.MS}'). "
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
    """Where the ends of fates contradict the edges or the chosen root."""
    found = []
    terminal_states = fates.terminal
    if root in terminal_states:
        only = "the only end" if len(terminal_states) == 1 else "one of the ends"
        found.append(
            f"The chosen root '{root}' is also {only} that fates lead to: the arrows run into it. Choose another root, or "
            "choose the ends by hand."
        )
    further = [group for group in trajectory.last_groups if group not in terminal_states]
    left = [end for end in terminal_states if end in set(trajectory.edges["source"])]
    told = [f"end in {listed(further)}, where no fate ends"] if further else []
    told += [f"lead on from {listed(left)}, where fates end"] if left else []
    if told:
        remedy = (
            "Choose them too if they are ends" if chosen else "Choose the ends by hand where you know them"
        )
        found.append(
            f"The arrows between groups {', and '.join(told)}; only ends of fates are marked as ends. {remedy}."
        )
    return found
