"""Velocities of other tools: their layer, genes, cells and tool."""

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

# Names of ds/dt in lower case, in order of preference: scVelo and most others, dynamo, MultiVelo, LatentVelo, STT, TFvelo.
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
# Words in names of layers that are not ds/dt of spliced RNA: other molecules, spread, arrows, times.
_NOT_SPLICED: Final = re.compile(
    r"(?:^|_)(?:u|unspliced|p|protein|n|new|t|total|chrom|c|variance|var|std|sd|norm|genes?|time|graph|umap|tsne|pca)(?:_|$)"
)
# var columns, best first: scVelo's, dynamo's, MultiVelo's.
_GENE_FLAGS: Final = (keys.VELOCITY_GENES, "use_for_dynamics", "velo_s_genes")
_TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
_MIN_SHARE: Final = 0.5  # of the cells with a value, in a velocity gene
# Tool by a word in the names that it writes; the first match is used.
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
    """The layer with the velocities.

    Parameters
    ----------
    layers
        Names of the object's layers.
    requested
        Layer named by the user, by its name in the file or its standard name. By default ``velocity``, another tool's
        name for it (dynamo's ``velocity_S``), or the only layer with velocity in its name.
    name
        Name of the object in messages.

    Raises
    ------
    InputError
        There is no such layer, or several match.
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
    """Layers that are named like the velocity of spliced RNA, most likely first."""
    found = list(layers)
    by_name = {layer.lower(): layer for layer in reversed(found)}
    known = [by_name[name] for name in _SPLICED_VELOCITY if name in by_name]
    return known + [
        layer
        for layer in found
        if layer not in known and "veloc" in layer.lower() and not _NOT_SPLICED.search(layer.lower())
    ]


def unspliced_velocity_layer(layers: Iterable[str]) -> str | None:
    """The layer with du/dt, or None."""
    by_name = {layer.lower(): layer for layer in layers}
    return next((by_name[name] for name in _UNSPLICED_VELOCITY if name in by_name), None)


def name_velocity(adata: AnnData, *, requested: str | None = None, name: str) -> None:
    """Rename the layer with the velocities to ``velocity``, in place; see `chosen_layer`.

    Arrows, graph and settings that belong to another layer of that name are dropped.
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
    """Mask of the method's velocity genes, bool ``(n_genes,)``; all genes if not stored.

    After a concatenation each part has its own column, ``velocity_genes-0``; genes of any part count.
    """
    for flag in _GENE_FLAGS:
        found = [column for column in adata.var if re.fullmatch(rf"{flag}(-.+)?", str(column))]
        if found:
            return np.any([as_booleans(adata.var[column]) for column in found], axis=0)
    return np.ones(adata.n_vars, dtype=bool)


def as_booleans(column: pd.Series) -> np.ndarray:
    """A column of booleans, numbers or text as booleans; missing values are False."""
    return np.asarray(as_text(column).str.strip().str.lower().isin(_TRUE), dtype=bool)


class KnownValues(NamedTuple):
    """Genes and cells with known velocities in a layer."""

    genes: np.ndarray
    """bool ``(n_genes,)``: velocity genes with a value in most cells that have any."""
    cells: np.ndarray
    """bool ``(n_cells,)``: cells with a value in any velocity gene; all cells if no gene has values."""
    n_missing: int
    """Number of missing values in these cells and genes."""


def known_values(layer: Layer, chosen: np.ndarray) -> KnownValues:
    """Find the genes and cells with finite velocities among the chosen genes.

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
    """Velocities with missing values set to 0 in ``known`` genes, and NaN in all other genes.

    Returns
    -------
    float32 ``(n_cells, n_genes)``, computed when read.
    """

    def make(cells: Any, genes: Genes) -> np.ndarray:
        block = columns(layer, genes)[cells]
        return np.where(known[genes], np.where(np.isfinite(block), block, 0), np.float32(np.nan))

    return View(layer.shape, make, source=layer)


def tool_of(adata: AnnData) -> str:
    """The tool that most likely computed the velocities, judged by the names in the object; empty if unknown."""
    if keys.DEEPVELO in adata.uns:
        return "DeepVelo"
    # not columns of obs, where scores of gene sets may have any name
    parts = (adata.layers, adata.var, adata.uns, stored_notes(adata))
    written = " ".join(str(name) for part in parts for name in part).lower()
    for word, tool in _TOOLS.items():
        if re.search(rf"(?<![a-z]){word}(?![a-z])", written):
            return tool
    if "fit_t" in adata.layers and "fit_alpha" not in adata.var:
        return "UniTVelo"
    return ""
