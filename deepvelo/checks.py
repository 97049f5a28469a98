"""Check that an AnnData has what a fit needs; each problem states what was found and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepvelo import config, keys
from deepvelo.arrays import matrices
from deepvelo.contents import (
    display_embeddings,
    embeddings,
    find_embedding,
    groupings,
    has_counts,
    has_moments,
    has_neighbors,
    is_grouping,
    keeps_moments,
)
from deepvelo.contents.count_kinds import CountKind, count_kind
from deepvelo.contents.graphs import comparison_space, components, reduced_components
from deepvelo.contents.groups import MAX_GROUPS, count_groups, group_names, too_many_groups
from deepvelo.errors import InputError
from deepvelo.findings import MIN_CELLS, Finding, find_errors, find_warnings
from deepvelo.io.tidy.names import gene_name_columns
from deepvelo.memory import estimate_memory, require_memory
from deepvelo.plan import n_candidates
from deepvelo.wording import in_code, listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings
    from deepvelo.plan import Machine

__all__ = [
    "CheckedData",
    "Finding",
    "Summary",
    "display_embeddings",
    "embeddings",
    "estimate_memory",
    "groupings",
    "has_counts",
    "has_moments",
    "has_neighbors",
    "keeps_moments",
    "require_column",
    "require_enough_cells",
    "require_fit",
    "require_gene",
    "require_grouping",
    "require_memory",
    "require_moments",
    "summarize",
    "unspliced_fractions",
]

_LONGEST_COMPARED = 30  # characters; similar names to longer ones take seconds to find


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Content of an object; ``count_kind`` and ``unspliced_fraction`` are None if the layers do not allow them."""

    n_cells: int
    n_genes: int
    layers: dict[str, str]
    count_kind: CountKind | None
    unspliced_fraction: float | None
    gene_columns: list[str]
    """Columns of ``var`` that could name the genes."""
    embeddings: list[str]
    groupings: list[str]
    comparison_space: str
    has_moments: bool
    findings: list[Finding] = field(default_factory=list)


def most_genes(summary: Summary, settings: Settings) -> int:
    """Upper bound of the genes of a fit, before filtering."""
    keeps = summary.has_moments and not settings.preparation.recompute_moments
    return summary.n_genes if keeps else min(summary.n_genes, settings.preparation.n_top_genes)


class CheckedData:
    """Cached checks of an object's matrices that do not depend on the settings.

    Each is looked at when it is first asked for and then known: the matrices may lie in a file.
    """

    def __init__(self, adata: AnnData) -> None:
        self.adata = adata

    def errors(self, *, moments: bool) -> list[Finding]:
        """Errors of `deepvelo.findings.find_errors`."""
        return self._errors_with_moments if moments else self._errors

    @cached_property
    def _errors(self) -> list[Finding]:
        return list(find_errors(self.adata, moments=False))

    @cached_property
    def _errors_with_moments(self) -> list[Finding]:
        return list(find_errors(self.adata, moments=True))

    @cached_property
    def shared_counts(self) -> np.ndarray:
        """Result of `deepvelo.arrays.matrices.shared_counts`, ``(n_genes,)``."""
        return matrices.shared_counts(self.adata.layers[keys.SPLICED], self.adata.layers[keys.UNSPLICED])


def summarize(
    adata: AnnData, settings: Settings | None = None, *, checked: CheckedData | None = None
) -> Summary:
    """Content of an object with all problems and remedies; never raises on bad data and changes nothing.

    Parameters
    ----------
    settings
        Of the fit that is planned: those that will be lowered are noted. By default the data alone are looked at.
    """
    checked = checked or CheckedData(adata)
    problems = checked.errors(moments=has_moments(adata))
    kind = None if problems else count_kind(adata)
    fractions = pd.DataFrame() if problems else unspliced_fractions(adata, group_key=None)
    fraction = None if fractions.empty else float(fractions["unspliced"].iloc[0])
    oddities = [] if kind is None else _warnings(adata, settings, checked, kind=kind, fraction=fraction)
    findings = problems + oddities
    if not any(finding.level in ("error", "warning") for finding in findings):
        findings.insert(0, Finding("ok", "Nothing is missing for a fit.", ""))
    return Summary(
        n_cells=adata.n_obs,
        n_genes=adata.n_vars,
        layers={name: _describe(layer) for name, layer in adata.layers.items()},
        count_kind=kind,
        unspliced_fraction=fraction,
        gene_columns=gene_name_columns(adata),
        embeddings=embeddings(adata),
        groupings=groupings(adata),
        comparison_space=comparison_space(adata, (settings or config.Settings()).preparation).sentence,
        has_moments=has_moments(adata),
        findings=findings,
    )


def _warnings(
    adata: AnnData,
    settings: Settings | None,
    checked: CheckedData,
    *,
    kind: CountKind,
    fraction: float | None,
) -> list[Finding]:
    found = list(find_warnings(adata, settings or config.Settings(), kind=kind, fraction=fraction))
    if settings is None:
        return found
    try:
        _require_neighbors(adata, settings)
        n_genes = _genes_left(checked, settings, keeps=keeps_moments(adata, settings))
    except InputError as error:  # other settings may solve it
        return [*found, Finding("warning", str(error), "")]
    own = components(adata) is None
    lowered = reduced_components(settings, n_cells=adata.n_obs, n_genes=n_genes, own=own)
    return [*found, *(Finding("note", sentence, "") for sentence in lowered)]


def unspliced_fractions(adata: AnnData, *, group_key: str | None) -> pd.DataFrame:
    """Mean share of spliced and unspliced counts over the cells of each group.

    Layers that were size-normalised no longer tell it; then scVelo's ``obs["initial_size_spliced"]`` and
    ``obs["initial_size_unspliced"]`` are used, and without those the table has no rows.

    Returns
    -------
    Index: group, or ``"all cells"``; columns ``spliced``, ``unspliced`` (summing to 1) and ``n_cells``.
    Cells without counts do not enter the means; they are counted.
    """
    sizes = [f"initial_size_{layer}" for layer in (keys.SPLICED, keys.UNSPLICED)]
    if has_counts(adata):
        spliced, unspliced = (matrices.cell_totals(adata.layers[k]) for k in (keys.SPLICED, keys.UNSPLICED))
    elif all(size in adata.obs and pd.api.types.is_numeric_dtype(adata.obs[size]) for size in sizes):
        spliced, unspliced = (adata.obs[size].to_numpy(dtype=np.float64) for size in sizes)
    else:
        return pd.DataFrame({"spliced": [], "unspliced": [], "n_cells": pd.Series([], dtype=int)})
    total = spliced + unspliced
    with np.errstate(invalid="ignore", divide="ignore"):
        cells = pd.DataFrame({"spliced": spliced / total, "unspliced": unspliced / total, "n_cells": 1})
    if group_key is None:
        groups = pd.Series("all cells", index=cells.index)
    else:
        require_column(adata, group_key)
        groups = pd.Series(group_names(adata.obs[group_key]).array, index=cells.index)
    table = cells.groupby(groups, observed=True).agg(
        {"spliced": "mean", "unspliced": "mean", "n_cells": "sum"}
    )
    table.index = table.index.astype(str)
    return table.rename_axis("group")


def require_fit(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None = None,
    basis: str | None = None,
    here: bool = True,
    checked: CheckedData | None = None,
    machine: Machine | None = None,
) -> None:
    """Raise if a fit is impossible, before any work is done.

    Parameters
    ----------
    here
        The fit will run on this machine; False does not ask for its memory.
    checked
        At these data, where other settings were asked about before.
    machine
        What the fit will run on; by default one process with a folder on disk.

    Raises
    ------
    InputError
        The layers are missing or unusable, the settings ask for more neighbours, components or memory
        than there are, or ``cluster_key`` or ``basis`` is not there.
    """
    checked = checked or CheckedData(adata)
    keeps = keeps_moments(adata, settings)
    for finding in checked.errors(moments=keeps):
        msg = f"{finding.what} {finding.remedy}"
        raise InputError(msg)
    if cluster_key is not None:
        require_grouping(adata, cluster_key)
    if basis is not None:
        _require_basis(adata, settings, basis)
    _require_neighbors(adata, settings)
    n_genes = _genes_left(checked, settings, keeps=keeps)
    if here:
        require_memory(adata.n_obs, n_genes, settings, machine)


def require_enough_cells(n_cells: int, settings: Settings) -> None:
    """Raise an `InputError` if a fit needs more cells, whose neighbours must be computed."""
    name, value = max(_neighbors_wanted(n_cells, settings, computed=True).items(), key=lambda item: item[1])
    least = max(MIN_CELLS, value + 1)
    if n_cells < least:
        why = f" because `{name}` is {value}" if value >= MIN_CELLS else ""
        msg = f"A fit needs at least {least} cells{why}. {number(n_cells, 'cell')} selected. Select more cells{', or lower it' if why else ''}."
        raise InputError(msg)


def require_moments(adata: AnnData) -> None:
    """Raise an `InputError` unless the object has moments of the right shape and neighbours."""
    missing = [key for key in (keys.MS, keys.MU) if key not in adata.layers]
    if missing:
        msg = (
            f"`adata.layers` is missing {missing}. Found {list(adata.layers)}. "
            "Run `deepvelo.pp.moments(adata)` first."
        )
        raise InputError(msg)
    if not has_neighbors(adata):
        msg = (
            "The object has no neighbour graph in `adata.obsp`, or one of other cells. "
            "Run `deepvelo.pp.moments(adata)` first."
        )
        raise InputError(msg)


def require_gene(names: Iterable[str], gene: str) -> str:
    """Return the gene if it is among ``names``.

    Raises
    ------
    InputError
        It is not; the message suggests the nearest names, whatever their case.
    """
    known = [str(name) for name in names]
    if gene in known:
        return gene
    by_lower = {name.lower(): name for name in known}
    asked = gene.lower() if len(gene) <= _LONGEST_COMPARED else ""
    near = [by_lower[name] for name in difflib.get_close_matches(asked, by_lower, n=3, cutoff=0.6)]
    remedy = f"Did you mean {' or '.join(map(in_code, near))}?" if near else "Check its spelling."
    msg = f"Gene {in_code(gene)} is not among the {len(known)} genes of these data. {remedy}"
    raise InputError(msg)


def require_column(adata: AnnData, key: str) -> None:
    """Raise an `InputError` that lists the groupings, if ``obs`` has no such column."""
    if key not in adata.obs:
        msg = f"There is no grouping {listed([key])}. Found {listed(groupings(adata))}. Choose one of them or none."
        raise InputError(msg)


def require_grouping(adata: AnnData, key: str) -> None:
    """Raise an `InputError` unless ``obs[key]`` has 2 to 100 groups."""
    require_column(adata, key)
    column = adata.obs[key]
    if is_grouping(column):
        return
    groups = list(group_names(column).cat.categories)
    others = "Choose none to have groups computed."
    if names := [name for name in groupings(adata) if name != key]:
        others = f"Choose another of {listed(names)}, or none."
    if len(groups) < 2:
        found = f"one group ({listed(groups)})" if groups else "no group at all"
        msg = f"Grouping '{key}' has {found}, and two are needed. {others}"
    elif MAX_GROUPS < count_groups(column) <= len(column) / 2 or key in too_many_groups(adata):
        msg = f"'{key}' has {len(groups)} groups, and there may be at most {MAX_GROUPS}. Merge some. {others}"
    else:
        msg = (
            f"'{key}' does not sort cells into groups: it has {len(groups)} different values in {adata.n_obs} cells. "
            f"{others}"
        )
    raise InputError(msg)


def _require_basis(adata: AnnData, settings: Settings, basis: str) -> None:
    found = embeddings(adata)
    made = not display_embeddings(adata) or settings.preparation.recompute_embedding
    name = basis.removeprefix("X_")
    if find_embedding(adata, basis) is None and not (made and name == "umap"):
        available = found + ["umap"] * (made and "umap" not in found)
        msg = f"There is no embedding {listed([name])}. Found {listed(available)}. Choose one of them."
        raise InputError(msg)


def _require_neighbors(adata: AnnData, settings: Settings) -> None:
    computed = comparison_space(adata, settings.preparation).graph is None
    wanted = _neighbors_wanted(adata.n_obs, settings, computed=computed)
    for name, value in wanted.items():
        if value >= adata.n_obs:
            msg = f"`{name}` must be below the number of cells. Got {value} for {number(adata.n_obs, 'cell')}. Lower it."
            raise InputError(msg)


def _neighbors_wanted(n_cells: int, settings: Settings, *, computed: bool) -> dict[str, int]:
    """Numbers of neighbours by setting; ``computed`` if there is no neighbour graph yet."""
    wanted = {"preparation.n_neighbors": settings.preparation.n_neighbors} if computed else {}
    if settings.method == "deepvelo":
        wanted["graph.n_neighbors"] = settings.graph.n_neighbors
        wanted["graph.n_candidates"] = n_candidates(n_cells, settings)
    return wanted


def _genes_left(checked: CheckedData, settings: Settings, *, keeps: bool) -> int:
    """Number of genes that preparation will keep."""
    if keeps:
        return checked.adata.n_vars
    least = settings.preparation.min_shared_counts
    shared = checked.shared_counts
    n_genes = int(np.sum(shared >= max(least, 1e-9)))
    if n_genes == 0:
        msg = (
            f"No gene reaches `preparation.min_shared_counts` = {least}: the best of {len(shared)} genes has "
            f"{shared.max():.0f}. Lower it, or use deeper data."
        )
        raise InputError(msg)
    if n_genes == 1:
        msg = f"Only one gene reaches `preparation.min_shared_counts` = {least}, and two are needed. Lower it, or use deeper data."
        raise InputError(msg)
    return min(n_genes, settings.preparation.n_top_genes)


def _describe(layer: Any) -> str:
    storage = "sparse" if matrices.is_sparse(layer) else "dense"
    if not matrices.is_numeric(layer):
        return f"{storage}, not numbers"
    return f"{storage} {'int counts' if matrices.is_whole(layer) else 'float'}"
