"""Convert an object to what HDF5 (h5ad files) and Zarr (the run store) can store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from deepvelo.io.stored_names import stored_names

if TYPE_CHECKING:
    from anndata import AnnData

_MAX_COLUMNS = 4000  # their names fit into 64 KiB at 16 bytes each


def storable(adata: AnnData, *, in_folders: bool) -> AnnData:
    """A shallow copy with names that a store can hold and repeated text as categories.

    Parameters
    ----------
    in_folders
        For Zarr, which stores each element as a folder; ``raw`` is left out. Otherwise for HDF5.
    """
    from anndata import AnnData

    parts = {
        group: _stored(dict(getattr(adata, group)), in_folders=in_folders)
        for group in ("layers", "obsm", "varm", "obsp", "varp", "uns")
    }
    tables = {name: _stored(getattr(adata, name), in_folders=in_folders) for name in ("obs", "var")}
    out = AnnData(X=adata.X, **tables, **parts)
    if adata.raw is not None and not in_folders:
        out.raw = AnnData(
            X=adata.raw.X,
            var=_stored(adata.raw.var, in_folders=False),
            varm=_stored(dict(adata.raw.varm), in_folders=False),
        )
    # AnnData names the index of tables in `obsm` after that of `obs`, which may be the name of a column there.
    for table, matrices in ((out.obs, out.obsm), (out.var, out.varm)):
        columns = {
            str(name).casefold() for m in matrices.values() if isinstance(m, pd.DataFrame) for name in m
        }
        if str(table.index.name).casefold() in columns:
            table.index = table.index.rename(None)
    out.strings_to_categoricals()
    return out


def is_wide(adata: AnnData) -> bool:
    """Whether the column names of a table exceed an attribute of the oldest HDF5 format."""
    tables = [adata.obs, adata.var, *adata.obsm.values(), *adata.varm.values(), *adata.uns.values()]
    return any(isinstance(table, pd.DataFrame) and table.shape[1] > _MAX_COLUMNS for table in tables)


def _stored(tree: Any, *, in_folders: bool) -> Any:
    """The same values under stored names, in nested dictionaries and in tables."""
    if isinstance(tree, pd.DataFrame):
        rows = None if tree.index.name in tree.columns else tree.index.name
        beside = [*tree.columns, "_index" if rows is None else rows]
        names = stored_names(beside, in_folders=in_folders, paths=True)
        table = tree.set_axis([names[column] for column in tree.columns], axis=1, copy=False)
        table.index = table.index.rename(None if rows is None else names[rows])
        return table
    if not isinstance(tree, dict):
        return tree
    names = stored_names(tree, in_folders=in_folders)
    return {names[name]: _stored(value, in_folders=in_folders) for name, value in tree.items()}
