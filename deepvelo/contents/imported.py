"""Velocities that another tool computed: which layer holds them, in which genes and cells, and which tool it was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.views import Genes, View, columns
from deepvelo.contents.columns import as_text
from deepvelo.contents.layer_names import standard_layers
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

# ds/dt of spliced RNA in lower case, best first: scVelo and most others, dynamo, MultiVelo, Latent Velo, STT and TFvelo.
_SPLICED_VELOCITY: Final = (
    "velocity",
    "velocity_s",
    "velo_s",
    "velo",
    "velocities",
    "velocity_spliced",
    "velo_hat",
)
_UNSPLICED_VELOCITY: Final = (keys.VELOCITY_U, "velo_u", "velocity_unspliced")
# Words in names of layers that are no ds/dt of spliced RNA: of other molecules, spread, arrows, times.
_NOT_SPLICED: Final = re.compile(
    r"(?:^|_)(?:u|unspliced|p|protein|n|new|t|total|chrom|c|variance|var|std|sd|norm|genes?|time|graph|umap|tsne|pca)(?:_|$)"
)
# var columns, best first: scVelo's, dynamo's, MultiVelo's.
_GENE_FLAGS: Final = (keys.VELOCITY_GENES, "use_for_dynamics", "velo_s_genes")
_TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
_MIN_SHARE: Final = 0.5  # of the cells have a value in a velocity gene
# By whole words in the names of what tools write: most often their own name. The first that is found.
_TOOLS: Final = {
    "celldancer": "cellDancer",
    "velovi": "veloVI",
    "unitvelo": "UniTVelo",
    "multivelo": "MultiVelo",
    "velovae": "VeloVAE",
    "latentvelo": "LatentVelo",
    "pyro": "Pyro-Velocity",
    "tfvelo": "TFvelo",
    "velo_hat": "TFvelo",
    "cell2fate": "cell2fate",
    "regvelo": "RegVelo",
    "use_for_dynamics": "dynamo",
    "'velocity_s'": "dynamo",  # in the note that its layers were renamed
    "velo_s": "MultiVelo",
    "velocity_params": "scVelo",
    "velocity_gamma": "scVelo",
    "fit_alpha": "scVelo",
    "variance_velocity": "scVelo",
}


def chosen_layer(layers: Iterable[str], *, requested: str | None = None, name: str) -> str:
    """Which layer holds the velocities.

    Parameters
    ----------
    layers
        Names of the object's layers.
    requested
        The layer that the user named, as the file or as this program calls it; by default ``velocity``, another
        tool's name for it (dynamo's ``velocity_S``), or the only layer whose name says velocity.
    name
        What messages call the object.

    Raises
    ------
    InputError
        There is no such layer, or several could be meant.
    """
    found = list(layers)
    if requested:
        meant = {requested.lower(), standard_layers([requested]).get(requested, requested).lower()}
        named = [layer for layer in found if layer == requested] or [x for x in found if x.lower() in meant]
        if len(named) == 1:
            return named[0]
        msg = f"{name} has no layer {listed([requested])}. Found {listed(sorted(found))}. Name the layer with the velocities of genes."
        raise InputError(msg)
    candidates = velocity_layers(found)
    if len(candidates) == 1 or (candidates and candidates[0].lower() in _SPLICED_VELOCITY):
        return candidates[0]
    if candidates:
        msg = (
            f"{name} has no layer '{keys.VELOCITY}', and {listed(candidates)} could all be meant. "
            "Name one: FILE::LAYER on the command line, or in the list of layers in the app."
        )
        raise InputError(msg)
    msg = (
        f"{name} has no velocities: the layer '{keys.VELOCITY}' is missing. Found {listed(sorted(found))}. "
        "Give the output of a finished fit, or name the layer with the velocities: FILE::LAYER."
    )
    raise InputError(msg)


def velocity_layers(layers: Iterable[str]) -> list[str]:
    """Those whose name says that they hold the velocity of spliced RNA, the likeliest first."""
    found = list(layers)
    by_name = {layer.lower(): layer for layer in reversed(found)}
    known = [by_name[name] for name in _SPLICED_VELOCITY if name in by_name]
    return known + [
        layer
        for layer in found
        if layer not in known and "veloc" in layer.lower() and not _NOT_SPLICED.search(layer.lower())
    ]


def unspliced_velocity_layer(layers: Iterable[str]) -> str | None:
    """The layer with du/dt; None where there is none."""
    by_name = {layer.lower(): layer for layer in layers}
    return next((by_name[name] for name in _UNSPLICED_VELOCITY if name in by_name), None)


def name_velocity(adata: AnnData, *, requested: str | None = None, name: str) -> None:
    """Call the layer with the velocities ``velocity``, in place; see `chosen_layer`.

    Arrows and settings in the object belong to velocities of that name, and are dropped where it calls others so.
    """
    layer = chosen_layer(adata.layers, requested=requested, name=name)
    if layer == keys.VELOCITY:
        return
    if keys.VELOCITY in adata.layers:
        for key in [key for key in adata.obsm if key.startswith("velocity_")]:
            del adata.obsm[key]
        for key in (keys.DEEPVELO, keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
            adata.uns.pop(key, None)
    adata.layers[keys.VELOCITY] = adata.layers.pop(layer)


def velocity_genes(adata: AnnData) -> np.ndarray:
    """Genes that the method chose for velocities, bool ``(n_genes,)``; all where it did not say.

    After a concatenation the column of each part has its own name, ``velocity_genes-0``; a gene of any part counts.
    """
    for flag in _GENE_FLAGS:
        found = [column for column in adata.var if re.fullmatch(rf"{flag}(-.+)?", str(column))]
        if found:
            return np.any([as_booleans(adata.var[column]) for column in found], axis=0)
    return np.ones(adata.n_vars, dtype=bool)


def as_booleans(column: pd.Series) -> np.ndarray:
    """A column of yes and no as booleans, however it is stored: booleans, numbers or text; what is missing is no."""
    return np.asarray(as_text(column).str.strip().str.lower().isin(_TRUE), dtype=bool)


class KnownValues(NamedTuple):
    """Where a layer of velocities has values."""

    genes: np.ndarray
    """bool ``(n_genes,)``: chosen by the method, with a value in most of the cells that have any."""
    cells: np.ndarray
    """bool ``(n_cells,)``: with a value in any chosen gene; all where no gene has one."""
    n_missing: int
    """How many values are missing in these cells and genes."""


def known_values(layer: Layer, chosen: np.ndarray) -> KnownValues:
    """Where velocities have finite values among the chosen genes.

    Parameters
    ----------
    layer
        Shape ``(n_cells, n_genes)``, in memory or on disk.
    chosen
        See `velocity_genes`, bool ``(n_genes,)``.
    """
    n_values = np.zeros(layer.shape[1], dtype=int)
    cells = np.zeros(layer.shape[0], dtype=bool)
    for genes in gene_blocks(layer):
        finite = np.isfinite(np.asarray(layer[:, genes])) & chosen[genes]
        n_values[genes] = finite.sum(axis=0)
        cells |= finite.any(axis=1)
    known = n_values > _MIN_SHARE * cells.sum()
    n_missing = int((cells.sum() - n_values[known]).sum())
    return KnownValues(known, cells if cells.any() else ~cells, n_missing)


def with_zeros(layer: Layer, known: np.ndarray) -> View:
    """Velocities of the ``known`` genes, where a missing value is no movement; NaN in all other genes.

    Returns
    -------
    float32 ``(n_cells, n_genes)``, made when it is read.
    """

    def make(cells: Any, genes: Genes) -> np.ndarray:
        block = columns(layer, genes)[cells]
        return np.where(known[genes], np.where(np.isfinite(block), block, 0), np.float32(np.nan))

    return View(layer.shape, make, source=layer)


def tool_of(adata: AnnData) -> str:
    """The tool that most likely computed the velocities, by what it leaves in the object; empty if nothing tells."""
    if keys.DEEPVELO in adata.uns:
        return "DeepVelo"
    # Not columns of obs: scores of gene sets are called like anything.
    parts = (adata.layers, adata.var, adata.uns, stored_notes(adata))
    written = " ".join(str(name) for part in parts for name in part).lower()
    for word, tool in _TOOLS.items():
        if re.search(rf"(?<![a-z]){word}(?![a-z])", written):
            return tool
    if "fit_t" in adata.layers and "fit_alpha" not in adata.var:
        return "UniTVelo"
    return ""
