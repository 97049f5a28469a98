"""Store embeddings where scVelo expects them: ``obsm["X_<name>"]``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo.contents.coordinates import (
    find,
    has_display_name,
    is_coordinates,
    is_for_display,
    is_spatial,
    plain_name,
)
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

# Names of coordinate columns: UMAP_1, tSNE 2, umap_x; UMAP_1_2D; X_coord, y.umap; _X (velocyto run10x).
# The y of "harmony" is not an axis.
_AXIS_LAST = re.compile(r"^(?P<stem>.+?)[ _.:-]*(?P<axis>[0-3]|(?<![a-z])[xyz]|(?<![A-Z])[XYZ])$")
_AXIS_INSIDE = re.compile(r"^(?P<stem>.*[a-z])[ _.:-]*(?P<axis>[1-3])(?P<rest>[ _.:-].+)$", re.IGNORECASE)
_AXIS_FIRST = re.compile(r"^(?P<axis>[xyz])[ _.:-]+(?P<stem>.+)$", re.IGNORECASE)
_AXIS_ALONE = re.compile(r"^_?(?P<axis>[XYZ])(?P<stem>)$")
_AXIS: Final = (_AXIS_ALONE, _AXIS_LAST, _AXIS_FIRST, _AXIS_INSIDE)
_AXES: Final = (("1", "2", "3"), ("0", "1", "2"), ("x", "y", "z"))
_MAX_AXES = 10  # columns of a table or text array
_MAX_DIMENSIONS = 200  # columns of a sparse representation
_UNNAMED: Final = ("", "coord", "coords", "coordinate", "embedding", "embed", "emb")
_CANONICAL: Final = {"umap": "umap", "tsne": "tsne"} | dict.fromkeys(_UNNAMED, "embedding")


def name_embeddings(adata: AnnData) -> list[str]:
    """Also store every embedding for display as ``obsm["X_<name>"]``, in place; existing entries are kept.

    These are entries of ``obsm`` with two or three columns that are named after a method (``umap_cell_embeddings``,
    ``UMAP``) or ``spatial``, and such columns of ``obs`` (``UMAP_1`` and ``UMAP_2``; ``_X`` and ``_Y``). Sparse matrices,
    text and tables become numeric arrays.

    Returns
    -------
    A note for every embedding that was set, and for every one with missing cells or with all cells at one point.
    """
    notes = _as_numbers(adata) + _with_prefix(adata) + _from_columns(adata)
    for key, values in adata.obsm.items():
        if has_display_name(key) and _is_unknown(values):
            notes.append(f"Embedding {listed([key])} has no coordinates and is not used.")
        elif key.startswith("X_") and is_for_display(key, values):
            known = np.isfinite(np.asarray(values)).all(axis=1)
            places = np.asarray(values)[known]
            if len(places) > 1 and (places == places[0]).all():
                notes.append(f"All cells lie at one point in '{key}': no arrow is drawn there.")
            missing = int((~known).sum())
            if missing:
                notes.append(
                    f"{number(missing, 'cell')} without coordinates in '{key}': not drawn there, and no arrow there."
                )
    return notes


def _is_unknown(values: Any) -> bool:
    """Whether no cell has coordinates."""
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
        return False
    return len(values) > 0 and not np.isfinite(values).all(axis=1).any()


def _as_numbers(adata: AnnData) -> list[str]:
    notes = []
    for key, values in dict(adata.obsm).items():
        stored_sparse = sparse.issparse(values) and key.startswith("X_")
        most = _MAX_DIMENSIONS if stored_sparse else _MAX_AXES * has_display_name(key)
        shape: tuple[int, ...] = getattr(values, "shape", ())
        if is_coordinates(values) or len(shape) != 2 or not 2 <= shape[1] <= most:
            continue
        table = pd.DataFrame(values.toarray() if sparse.issparse(values) else values)
        numbers = np.column_stack([_numbers(column) for _, column in table.items()])
        known = np.isfinite(numbers).any(axis=0)
        if not is_coordinates(numbers[:, known]):
            continue
        adata.obsm[key] = numbers[:, known]
        left_out = [str(name) for name in table.columns[~known]]
        notes.append(
            f"Embedding '{key}' was made an array of numbers{f', without {listed(left_out)}' * bool(left_out)}."
        )
    return notes


def _with_prefix(adata: AnnData) -> list[str]:
    notes = []
    for key in list(adata.obsm):
        prefixed = f"X_{key.removeprefix('x_')}"
        if key.startswith(("X_", "velocity_")) or prefixed in adata.obsm:
            continue
        named = has_display_name(key) or is_spatial(key) or plain_name(key) in _UNNAMED
        if named and is_for_display(key, adata.obsm[key]):
            adata.obsm[prefixed] = np.array(adata.obsm[key])
            notes.append(f"Embedding '{key}' was also stored as '{prefixed}', where scVelo looks for it.")
    return notes


def _from_columns(adata: AnnData) -> list[str]:
    notes = []
    for stem, columns in _coordinate_columns(list(adata.obs.columns)).items():
        name = _CANONICAL.get(plain_name(stem), stem)
        if find(name, [key for key in adata.obsm if key.startswith("X_")]) is not None:
            continue
        values = np.column_stack([_numbers(adata.obs[column]) for column in columns])
        if is_coordinates(values):
            adata.obsm[f"X_{name}"] = values
            notes.append(
                f"Columns {' and '.join(map(repr, columns))} of obs were taken as embedding '{name}'."
            )
    return notes


def _coordinate_columns(columns: list[str]) -> dict[str, list[str]]:
    """Coordinate columns by embedding, in the order of the axes."""
    found: dict[str, dict[str, str]] = {}
    stems: dict[str, str] = {}
    for column in map(str, columns):
        match = next((m for m in (pattern.match(column) for pattern in _AXIS) if m), None)
        name = "" if match is None else match["stem"] + match.groupdict().get("rest", "")
        if match is None or not _is_of_picture(name):
            continue
        stem = stems.setdefault(plain_name(name), name.strip(" _.:-").removeprefix("X_"))
        found.setdefault(stem, {}).setdefault(match["axis"].lower(), column)
    pictures = {}
    for stem, by_axis in found.items():
        axes = next((axes for axes in _AXES if axes[0] in by_axis and axes[1] in by_axis), ())
        if axes:
            pictures[stem] = [by_axis[axis] for axis in axes if axis in by_axis]
    return pictures


def _is_of_picture(stem: str) -> bool:
    return has_display_name(stem) or plain_name(stem) in _UNNAMED


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as floats, with NaN for values that are not numbers."""
    if column.dtype.kind == "f" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
