"""Findings on an object before a fit: errors, warnings and notes, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deepvelo import contents, keys
from deepvelo.arrays import matrices
from deepvelo.contents.count_kinds import KIND_NAMES, CountKind, count_kind
from deepvelo.contents.graphs import comparison_space
from deepvelo.contents.groups import MAX_GROUPS, coded_cell_types, group_names, too_many_groups
from deepvelo.contents.notes import stored_notes
from deepvelo.io.tidy.values import unusable_moments
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings

# Droplet data have 10 to 25% unspliced counts, nuclei up to about 60%; far outside, something is mislabelled.
PLAUSIBLE_UNSPLICED = (0.03, 0.65)
MIN_CELLS, MIN_GENES = 4, 2
# A cell has some 100,000 molecules. Beyond this limit, sums and squares overflow in single precision.
_LARGEST_COUNT = 1e9
# log1p of a count beyond this would be a count above a million.
_LARGEST_LOGARITHM = 14.0


@dataclass(frozen=True)
class Finding:
    """One finding on the data: severity, description and remedy."""

    level: Literal["ok", "note", "warning", "error"]
    """``note``: a change or choice; ``warning``: a possible problem; ``error``: a problem that prevents a fit."""
    what: str
    remedy: str


def find_errors(adata: AnnData, *, moments: bool) -> Iterator[Finding]:
    """Problems that no setting can solve; ``moments`` states whether the moments of the object will be used."""
    missing = [layer for layer in (keys.SPLICED, keys.UNSPLICED) if layer not in adata.layers]
    if missing:
        names = " and no ".join(f"'{layer}'" for layer in missing)
        found = f"Found {listed(sorted(adata.layers))}." if adata.layers else "The file has no layers at all."
        yield Finding(
            "error",
            f"There is no {names} layer. {found}",
            "Join the loom or h5ad file that has the spliced and unspliced counts.",
        )
        return
    if adata.n_obs < MIN_CELLS or adata.n_vars < MIN_GENES:
        yield Finding(
            "error",
            f"Velocity needs many cells and genes, at least {MIN_CELLS} and {MIN_GENES}. "
            f"Found {number(adata.n_obs, 'cell')} and {number(adata.n_vars, 'gene')}.",
            "Choose a file with the whole experiment.",
        )
        return
    used = [keys.SPLICED, keys.UNSPLICED] + ([keys.MS, keys.MU] if moments else [])
    errors = [error for name in used for error in _layer_errors(name, adata.layers[name])]
    yield from errors or ([] if moments else _kind_errors(adata))


def _kind_errors(adata: AnnData) -> Iterator[Finding]:
    kind = count_kind(adata)
    if kind == "scaled":
        yield Finding(
            "error",
            f"The spliced and unspliced layers lie between 0 and 1 (largest {_largest(adata):.4g}): they are scaled.",
            "Use raw counts.",
        )
    elif kind == "logged":
        yield Finding(
            "error",
            f"The spliced and unspliced layers are logarithms (largest {_largest(adata):.4g}), no counts.",
            "Use raw counts.",
        )


def _largest(adata: AnnData) -> float:
    return max(matrices.largest(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED))


def _layer_errors(name: str, layer: Any) -> Iterator[Finding]:
    if not matrices.is_numeric(layer):
        yield Finding(
            "error",
            f"Layer '{name}' does not hold numbers: its type is {getattr(layer, 'dtype', type(layer).__name__)}.",
            "Save the counts as integers or floats.",
        )
        return
    values = matrices.look_at_values(layer)
    if values.n_not_finite and name in (keys.SPLICED, keys.UNSPLICED):
        yield Finding(
            "error",
            f"Layer '{name}' has {number(values.n_not_finite, 'value')} that are NaN or infinite.",
            "Take the counts from the original file, or set these to zero.",
        )
    elif values.n_not_finite == np.prod(layer.shape):
        yield Finding(
            "error",
            f"Layer '{name}' has no finite value.",
            "Remove it, or switch 'Recompute moments' on.",
        )
    elif values.n_negative:
        yield Finding(
            "error",
            f"Layer '{name}' has {number(values.n_negative, 'negative value')}; counts cannot be below zero.",
            "Use raw counts, not scaled or batch-corrected values.",
        )
    elif values.largest > _LARGEST_COUNT and not values.n_not_finite:  # genes with such moments are left out
        remedy = "Take the counts from the original file, or set these to zero."
        if name not in (keys.SPLICED, keys.UNSPLICED):
            remedy = "Remove it, or switch 'Recompute moments' on."
        yield Finding(
            "error",
            f"Layer '{name}' has values up to {values.largest:.3g}: no cell has counts above {_LARGEST_COUNT:.0e}.",
            remedy,
        )
    elif not values.largest > 0:
        yield Finding(
            "error",
            f"Layer '{name}' is zero everywhere.",
            "Count the reads again with spliced and unspliced kept apart (velocyto, kb, alevin-fry, STARsolo).",
        )


def find_warnings(
    adata: AnnData, settings: Settings, *, kind: CountKind, fraction: float | None
) -> Iterator[Finding]:
    """Problems that do not prevent a fit, and choices of the preparation."""
    for note in stored_notes(adata):
        yield Finding("note", note, "")
    if keys.VELOCITY in adata.layers:  # moments in the units of a velocity were kept on reading
        yield from (Finding("note", note, "") for note in unusable_moments(adata))
    for what, names in (("cell", adata.obs_names), ("gene", adata.var_names)):
        if repeated := int(names.duplicated().sum()):
            yield Finding(
                "warning",
                f"{number(repeated, f'duplicate {what} name')}.",
                "They are made unique in the result; rename them to keep them apart yourself.",
            )
    yield from _empty(adata)
    spliced, unspliced = adata.layers[keys.SPLICED], adata.layers[keys.UNSPLICED]
    if kind == "estimated":
        yield Finding(
            "note",
            f"The counts have fractions (largest {_largest(adata):.4g}), as estimated counts have.",
            "They are size-normalised like whole counts.",
        )
    elif kind != "counts":
        yield Finding(
            "warning",
            f"The spliced and unspliced layers hold {KIND_NAMES[kind]}, no raw counts (largest {_largest(adata):.4g}).",
            "The moments in the file are used."
            if contents.has_moments(adata)
            else "They are not size-normalised again; raw counts are better.",
        )
    elif adata.X is not None and _looks_logged(adata.X):
        yield Finding(
            "note",
            f"X looks log-transformed (largest {matrices.largest(adata.X):.3g}) while the layers are counts.",
            "The layers are used, not X.",
        )
    if matrices.same(spliced, unspliced):
        yield Finding(
            "warning", "The spliced and unspliced layers are identical.", "Check how the file was made."
        )
    elif fraction is not None and not PLAUSIBLE_UNSPLICED[0] <= fraction <= PLAUSIBLE_UNSPLICED[1]:
        yield Finding(
            "warning",
            f"{fraction:.0%} of the counts are unspliced; 10 to 25% are usual, up to about 60% in nuclei.",
            "Check that the layers are not swapped and that introns were counted.",
        )
    for key in contents.groupings(adata):
        groups = group_names(adata.obs[key])
        alone = groups.value_counts().loc[lambda n: n == 1].index
        if len(alone):
            names = ", ".join(f"'{name}'" for name in alone[:3])
            yield Finding(
                "warning",
                f"Grouping '{key}' has {number(len(alone), 'group')} of a single cell: {names}.",
                "Such a group gets no consistency score; merge it into another if you need one.",
            )
        if absent := int(groups.isna().sum()):
            yield Finding(
                "note",
                f"Grouping '{key}' leaves out {number(absent, 'cell')}.",
                "They are shown as 'unassigned'.",
            )
    for key in coded_cell_types(adata):
        yield Finding(
            "warning",
            f"Grouping '{key}' holds numbers, as converters from Seurat write factors: the names of the cell types are lost.",
            "Save factors as text (`as.character` in R) before converting, to have the names.",
        )
    for key, n in too_many_groups(adata).items():
        yield Finding(
            "warning",
            f"'{key}' has {n} groups, and there may be at most {MAX_GROUPS}, so that it is not used.",
            "Merge some to group cells by it.",
        )
    compared = comparison_space(adata, settings.preparation)
    for rejection in compared.rejected:
        yield Finding("warning", rejection, compared.sentence)
    if not compared.rejected and (compared.graph or compared.representation):
        yield Finding("note", compared.sentence, "")


def _empty(adata: AnnData) -> Iterator[Finding]:
    spliced, unspliced = adata.layers[keys.SPLICED], adata.layers[keys.UNSPLICED]
    if n := int(np.sum(matrices.gene_totals(spliced) + matrices.gene_totals(unspliced) == 0)):
        yield Finding("note", f"{number(n, 'gene')} without any count.", "Preparation leaves them out.")
    if n := int(np.sum(matrices.cell_totals(spliced) + matrices.cell_totals(unspliced) == 0)):
        yield Finding(
            "warning",
            f"{number(n, 'cell')} without any count.",
            "They are kept and take the mean of their neighbours; filter them out if they are empty droplets.",
        )


def _looks_logged(matrix: Any) -> bool:
    if not matrices.is_numeric(matrix) or matrices.is_whole(matrix):
        return False
    return matrices.largest(matrix) < _LARGEST_LOGARITHM
