"""Recognise embeddings for display by name and shape, and find an embedding by a name in any spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import sparse

from deepvelo import keys

_PICTURE = re.compile(
    r"umap|t[-_.]?sne|phate|trimap|pacmap|densmap|largevis|draw[-_.]?graph|force|spring"
    r"|(?<![a-z])(mde|fa2?|fle|fdl|mds|isomap)(?![a-z])",
    re.IGNORECASE,
)
_SPATIAL = re.compile(r"spatial|centroid|tissue|slide", re.IGNORECASE)
_NOT_PICTURES = re.compile(r"pca|diffmap|harmony|scvi|lsi|svd|rates", re.IGNORECASE)
_OF_RATES = {keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP}
_METHODS = ("umap", "tsne")  # best first
_SEURAT_ENDING = re.compile(r"[_.]cell[_.]embeddings$")


def is_coordinates(values: Any, *, whole: bool = False) -> bool:
    """Whether an ``obsm`` entry is numeric with two or more columns, finite in some cells, or in all with ``whole``."""
    shape: tuple[int, ...] = getattr(values, "shape", ())
    if len(shape) != 2 or shape[1] < 2 or sparse.issparse(values):
        return False
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        return False
    known = np.isfinite(array).all(axis=1)
    return bool(known.all() if whole else known.any())


def is_for_display(key: str, values: Any) -> bool:
    """Whether coordinates are for display: two or three columns and not PCA, or UMAP or t-SNE of any dimension."""
    if not is_coordinates(values) or key in _OF_RATES:
        return False
    if values.shape[1] > 3:
        return plain_name(key) in _METHODS
    return has_display_name(key) or not _NOT_PICTURES.search(key)


def has_display_name(name: str) -> bool:
    """Whether a name contains UMAP, t-SNE or another visualisation method."""
    return bool(_PICTURE.search(name))


def is_spatial(name: str) -> bool:
    """Whether a name indicates spatial coordinates."""
    return bool(_SPATIAL.search(name))


def plain_name(name: str) -> str:
    """A name in lower case without ``X_``, Seurat's ending and punctuation, so that ``X_tSNE`` equals ``t-SNE``."""
    lower = _SEURAT_ENDING.sub("", name.lower().removeprefix("x_"))
    return re.sub(r"[^a-z0-9]", "", lower)


def find(name: str, known: Iterable[str]) -> str | None:
    """The known name that matches: exactly, with or without ``X_``, or as the only one in another spelling."""
    known = list(known)
    for same in (name, f"X_{name}", name.removeprefix("X_")):
        if same in known:
            return same
    alike = [other for other in known if plain_name(other) == plain_name(name)]
    return alike[0] if len(alike) == 1 else None


def preference(name: str) -> int:
    """Sort key of embeddings for display: UMAP, t-SNE, others, spatial coordinates."""
    if is_spatial(name):
        return 6
    if name.removeprefix("X_") == "umap":
        return 0
    plain = plain_name(name)
    for i, method in enumerate(_METHODS):
        if method in plain:
            return 1 + 2 * i + (plain != method)
    return 5
