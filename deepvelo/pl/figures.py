"""Figures of an AnnData object; the other modules of this package draw arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo import checks, choices, keys
from deepvelo.contents.groups import UNASSIGNED, group_colors, group_names
from deepvelo.errors import InputError
from deepvelo.pl import theme
from deepvelo.pl.embedding import scatter
from deepvelo.pl.phase_portrait import SPLICED_TITLE, Phase, phase_grid
from deepvelo.pl.phase_portrait import phase_portrait as portrait_of_phase
from deepvelo.pl.rates import RATE_TITLES, rate_violins
from deepvelo.pl.stream import add_stream
from deepvelo.pl.thinning import drawn_cells
from deepvelo.pl.training_curve import training_curve as curve_of_history
from deepvelo.undecided import undecided_cells
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

_RATES = dict(zip(RATE_TITLES, keys.RATES, strict=True))


def embedding(
    adata: AnnData,
    *,
    color: str | None = None,
    basis: str | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells on an embedding, coloured by group, score or gene.

    Parameters
    ----------
    adata
        Cells x genes, with an embedding in ``obsm``.
    color
        A column of ``obs``, or a gene, which is coloured by its spliced moments (``Ms``, normalised counts). By default
        the groups that `deepvelo.pp.moments` chose.
    basis
        Embedding, with or without ``X_``, e.g. ``"rates_umap"``. By default the one that `deepvelo.pp.moments` chose.
    dark
        Use colours for a dark background.
    height
        Pixels.

    Returns
    -------
    Points have their row number in ``customdata``. With more than 20,000 cells, a fixed sample is drawn.

    Raises
    ------
    InputError
        The embedding, column or gene does not exist.

    Examples
    --------
    >>> fig = dv.pl.embedding(fitted, color="clusters")
    >>> len(fig.data) == fitted.obs["clusters"].nunique()
    True
    """
    name = choices.embedding(adata, basis)
    points = _points(adata, name)
    values = _colors_of_cells(adata, color)
    axis_name = name.replace("_", " ").upper()
    if isinstance(values.dtype, pd.CategoricalDtype):
        groups = np.asarray(values, dtype=object)
        colors = theme.group_colors(groups, group_colors(adata, str(values.name)))
        return scatter(
            points,
            groups,
            colors=colors,
            axis_name=axis_name,
            drawn=drawn_cells(points, groups),
            dark=dark,
            height=height,
        )
    numbers = values.to_numpy(dtype=np.float32)
    return scatter(
        points,
        values=numbers,
        value_title=str(values.name),
        axis_name=axis_name,
        drawn=drawn_cells(points),
        dark=dark,
        height=height,
    )


def stream(
    adata: AnnData,
    *,
    color: str | None = None,
    basis: str | None = None,
    density: float = 1.0,
    smooth: float = 0.5,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw velocities as stream lines over an embedding.

    Lines are faded where most cells have an undecided direction (`deepvelo.tl.confidence`). Their density does not show
    speed, and projection to two dimensions can distort directions: check the phase portraits of the genes involved.

    Parameters
    ----------
    adata
        With the results of `deepvelo.tl.velocity_graph`. Missing arrows are computed and stored
        (`deepvelo.tl.velocity_embedding`).
    color, basis, dark, height
        As for `embedding`; the first two dimensions of ``basis`` are drawn.
    density
        Density of lines; 1 is as in scVelo.
    smooth
        Width of the Gaussian kernel that averages the arrows of cells, in grid steps.

    Raises
    ------
    InputError
        The velocity graph is missing, or the embedding, column or gene does not exist.

    Examples
    --------
    >>> fig = dv.pl.stream(fitted)
    >>> fig.layout.xaxis.title.text
    'UMAP 1'
    """
    # scVelo's grid takes seconds to import.
    from deepvelo.tl.graph.stream_lines import mostly_of, stream_lines

    name = choices.embedding(adata, basis)
    fig = embedding(adata, color=color, basis=name, dark=dark, height=height)
    points = _points(adata, name)
    lines = stream_lines(points, _arrows(adata, name), density=density, smooth=smooth)
    undecided = undecided_cells(adata.obs)
    faded = faded_arrows = None
    if undecided is not None:
        faded = [mostly_of(undecided, line, points) for line in lines.lines]
        faded_arrows = mostly_of(undecided, lines.arrow_xy, points)
    add_stream(
        fig,
        lines.lines,
        arrow_xy=lines.arrow_xy,
        arrow_direction=lines.arrow_direction,
        faded=faded,
        faded_arrows=faded_arrows,
        dark=dark,
    )
    return fig


def phase_portrait(
    adata: AnnData,
    genes: str | Sequence[str],
    *,
    cluster_key: str | None = None,
    shown: Collection[str] | None = None,
    zoom: bool = True,
    dark: bool = False,
) -> go.Figure:
    """Draw a gene's unspliced against spliced RNA, with the velocity of both as arrows.

    Parameters
    ----------
    adata
        Cells x genes, with moments and the velocities of any method.
    genes
        One gene, or several, which are drawn as panels of one figure.
    cluster_key
        Column of ``obs`` that colours the cells. By default the one that `deepvelo.pp.moments` chose.
    shown
        Groups drawn in colour and with arrows; all other cells are grey in the background. By default all.
    zoom
        Restrict the axes to the cells in colour.
    dark
        Use colours for a dark background.

    Returns
    -------
    A figure with axes in normalised counts, averaged over neighbours.

    Raises
    ------
    InputError
        Moments or velocities are missing, or the gene or grouping does not exist.

    Examples
    --------
    >>> fig = dv.pl.phase_portrait(fitted, fitted.var_names[0])
    >>> fig.layout.xaxis.title.text
    'spliced, normalised counts (smoothed)'
    """
    names = [genes] if isinstance(genes, str) else list(genes)
    phases = [_phase(adata, gene) for gene in names]
    key = choices.grouping(adata, cluster_key)
    groups = _groups(adata, key)
    colors = theme.group_colors(groups, group_colors(adata, key))
    if len(phases) > 1:
        return phase_grid(phases, groups, colors=colors, shown=shown, zoom=zoom, dark=dark)
    return portrait_of_phase(phases[0], groups, colors=colors, shown=shown, zoom=zoom, dark=dark)


def rates(adata: AnnData, gene: str, *, cluster_key: str | None = None, height: int = 620) -> go.Figure:
    """Draw the distributions of a gene's kinetic rates in each group of cells.

    Parameters
    ----------
    adata
        With the results of `deepvelo.tl.velocity`.
    gene
        A name of ``var_names``.
    cluster_key
        Column of ``obs`` with the groups. By default the one that `deepvelo.pp.moments` chose.
    height
        Pixels.

    Returns
    -------
    A figure with one row per rate: alpha in normalised counts per unit time, beta and gamma per unit time. Time has no
    physical unit.

    Raises
    ------
    InputError
        Cell-specific rates are missing, or the gene or grouping does not exist.

    Examples
    --------
    >>> fig = dv.pl.rates(fitted, fitted.var_names[0])
    >>> fig.layout.yaxis.title.text
    'α, transcription<br>(normalised counts / time)'
    """
    layers = {rate: key for rate, key in _RATES.items() if key in adata.layers}
    if not layers:
        msg = f"`adata.layers` is missing {list(keys.RATES)}. Found {list(adata.layers)}. Run `deepvelo.tl.velocity(adata)` first."
        raise InputError(msg)
    found = {rate: _gene_values(adata, key, gene) for rate, key in layers.items()}
    key = choices.grouping(adata, cluster_key)
    groups = _groups(adata, key)
    known = {rate: values for rate, values in found.items() if np.isfinite(values).any()}
    colors = theme.group_colors(groups, group_colors(adata, key))
    return rate_violins(known or found, groups, colors=colors, height=height)


def training_curve(adata: AnnData, *, height: int = 320) -> go.Figure:
    """Draw the terms of the loss by epoch: total, continuity (eq. 4 to 6) and direction (eq. 7).

    Parameters
    ----------
    adata
        With the results of `deepvelo.tl.velocity`.
    height
        Pixels.

    Raises
    ------
    InputError
        The training history is missing.

    Examples
    --------
    >>> fig = dv.pl.training_curve(fitted)
    >>> fig.data[0].name
    'total'
    """
    record = adata.uns.get(keys.DEEPVELO, {})
    if not record.get("history"):
        msg = "The training history is missing in `adata.uns`. Run `deepvelo.tl.velocity(adata)` first."
        raise InputError(msg)
    return curve_of_history(pd.DataFrame(dict(record["history"])), height=height)


def _points(adata: AnnData, basis: str) -> np.ndarray:
    """The first two dimensions of an embedding, ``(n_cells, 2)``."""
    return np.asarray(adata.obsm[keys.embedding(basis)])[:, :2]


def _arrows(adata: AnnData, basis: str) -> np.ndarray:
    """Arrows on the first two dimensions of an embedding, ``(n_cells, 2)``; missing ones are computed."""
    from deepvelo.tl.graph.arrows import velocity_embedding

    key = keys.velocity_embedding(basis)
    if key not in adata.obsm:
        velocity_embedding(adata, basis=basis)
    return np.asarray(adata.obsm[key])[:, :2]


def _groups(adata: AnnData, key: str) -> np.ndarray:
    return np.asarray(group_names(adata.obs[key], missing=UNASSIGNED), dtype=object)


def _colors_of_cells(adata: AnnData, color: str | None) -> pd.Series:
    """Values that colour the cells: categorical for groups, numeric for scores and genes; the name is the title."""
    if color is None:
        color = choices.grouping(adata, None)
    if color in adata.obs:
        values = adata.obs[color]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            return values
        return group_names(values, missing=UNASSIGNED)
    if color not in adata.var_names:
        msg = (
            f"{listed([color])} is neither a column of `adata.obs` nor a gene. "
            f"Found the columns {listed(list(adata.obs))}. Check its spelling."
        )
        raise InputError(msg)
    return pd.Series(_gene_values(adata, keys.MS, color), name=f"{color}, {SPLICED_TITLE}")


def _gene_values(adata: AnnData, layer: str, gene: str) -> np.ndarray:
    """One gene of a layer, float32 ``(n_cells,)``."""
    if layer not in adata.layers:
        remedy = "pp.moments" if layer in (keys.MS, keys.MU) else "tl.velocity"
        msg = f"`adata.layers` is missing {[layer]}. Found {list(adata.layers)}. Run `deepvelo.{remedy}(adata)` first."
        raise InputError(msg)
    place = adata.var_names.get_loc(checks.require_gene(adata.var_names, gene))
    return np.asarray(adata.layers[layer][:, [place]], dtype=np.float32).ravel()


def _phase(adata: AnnData, gene: str) -> Phase:
    return Phase(
        gene=gene,
        spliced=_gene_values(adata, keys.MS, gene),
        unspliced=_gene_values(adata, keys.MU, gene),
        velocity=_gene_values(adata, keys.VELOCITY, gene),
        velocity_u=_gene_values(adata, keys.VELOCITY_U, gene) if keys.VELOCITY_U in adata.layers else None,
        undecided=undecided_cells(adata.obs),
    )
