"""Offload count matrices to disk during a fit, and check that the disk has room for its layers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scipy import sparse

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


def require_space(folder: Path, *, layers: int, of: AnnData) -> None:
    """Check that the disk has room for a fit's layers and for two copies of its counts, offloaded and stored.

    Parameters
    ----------
    layers
        Number of dense float32 layers still to be written.
    of
        The prepared object.

    Raises
    ------
    InputError
        The disk has too little free space.
    """
    sparse_bytes = sum(
        m.data.nbytes + m.indices.nbytes for m in [of.X, *of.layers.values()] if sparse.issparse(m)
    )
    needed = layers * 4 * of.n_obs * of.n_vars + 2 * sparse_bytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        msg = (
            f"A fit of {of.n_obs:,} cells and {of.n_vars:,} genes needs up to {needed / 1e9:.1f} GB on the disk of "
            f"{folder.parent}. Found {free / 1e9:.1f} GB free. Free some space, lower `preparation.n_top_genes`, or store "
            "it on another disk."
        )
        raise InputError(msg)


@contextmanager
def offloaded_counts(adata: AnnData, folder: Path | None) -> Iterator[None]:
    """Move ``X`` and the sparse layers of an object to a folder while the block runs, and restore them at its end.

    A fit and the steps after it need only the moments; for many cells the counts take as much memory as the
    training. If the block raises, nothing is restored.

    Parameters
    ----------
    adata
        Changed in place; dense matrices stay in memory.
    folder
        None leaves everything in memory.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    if folder is None:
        yield
        return
    names = [name for name, layer in adata.layers.items() if sparse.issparse(layer)]
    has_x = sparse.issparse(adata.X)
    places = {name: folder / f"aside-{i}.npz" for i, name in enumerate(names)}
    x_place = folder / "aside-x.npz"
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in places.items():
        sparse.save_npz(place, adata.layers[name], compressed=False)
        del adata.layers[name]
    if has_x:
        sparse.save_npz(x_place, adata.X, compressed=False)
        adata.X = None
    yield
    for name, place in places.items():
        adata.layers[name] = sparse.load_npz(place)
        place.unlink()
    if has_x:
        adata.X = sparse.load_npz(x_place)
        x_place.unlink()
