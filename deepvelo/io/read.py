"""Read a data file of any supported format, into memory or lazily; a bad file raises one clear `InputError`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from deepvelo.config import Ambiguous
from deepvelo.errors import InputError
from deepvelo.io.formats import SUFFIXES, ByGene, ReadOptions, find_format
from deepvelo.io.tidy import tidied
from deepvelo.io.write import first_line

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["SUFFIXES", "read"]


def read(
    path: Path | str,
    *,
    lazy_if_large: bool = False,
    by_gene: ByGene | None = None,
    gene_names: str = "auto",
    ambiguous: Ambiguous = "leave_out",
) -> AnnData:
    """Read a data file.

    Parameters
    ----------
    path
        A file or folder of any of `deepvelo.io.formats`: the output of a counting tool, h5ad, loom, Zarr, MuData,
        h5Seurat, a table of cells or cellDancer's result; also compressed.
    lazy_if_large
        Leave ``X`` and the layers of an h5ad file or Zarr folder on disk if they would take more than half of the free
        memory. They are then Dask arrays, which `deepvelo.checks` and `deepvelo.pp.prepare.prepare` accept.
    by_gene
        Read only these layers, given by name or by a function that chooses among all names, and leave dense ones and a
        dense ``X`` in the h5ad file or Zarr folder. They are then HDF5 or Zarr arrays, to be read in blocks of genes,
        and keep the file open.
    gene_names
        ``"auto"`` uses gene symbols where the names are ids; ``"index"`` keeps the names; or a column of ``var``.
    ambiguous
        Leave out counts that are neither spliced nor unspliced, or add them to one of the two layers.

    Returns
    -------
    ``X`` and layers as float32, CSR or dense as in the file. Cell and gene names are unique. Notes in
    ``uns["deepvelo_notes"]`` describe every change.

    Raises
    ------
    InputError
        The file is missing, of an unknown format, truncated, larger than the memory or otherwise unreadable; or its
        layers differ in shape or are not numeric.

    Examples
    --------
    >>> dv.io.write_h5ad(adata, folder / "cells.h5ad")
    >>> sorted(dv.io.read(folder / "cells.h5ad").layers)[:2]
    ['Ms', 'Mu']
    """
    if not Path(path).exists():
        msg = f"There is no file {path}. Check the path."
        raise InputError(msg)
    path = Path(os.path.abspath(path))  # noqa: PTH100 (formats inspect parent folders; links keep their names)
    if not os.access(path, os.R_OK):
        msg = f"{path} may not be read: permission denied. Ask for permission, or copy the file."
        raise InputError(msg)
    if not path.is_file() and not path.is_dir():  # reading a pipe or a device may never end
        msg = f"{path.name} is neither a file nor a folder. Give a file or a folder with data."
        raise InputError(msg)
    if path.is_file() and path.stat().st_size == 0:
        msg = f"{path.name} is empty: it has 0 bytes. Copy or download it again."
        raise InputError(msg)
    options = ReadOptions(lazy_if_large=lazy_if_large, by_gene=by_gene)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the notes report duplicate and old names
            adata = find_format(path).read(path, options)
            return tidied(adata, name=path.name, gene_names=gene_names, ambiguous=ambiguous)
    except InputError:
        raise
    except MemoryError as error:
        msg = (
            f"{path.name} does not fit into memory. Close other programs, or use a machine with more memory."
        )
        raise InputError(msg) from error
    except Exception as error:  # readers raise errors of many types on damaged files
        msg = f"{path.name} could not be read: {first_line(error)}. Save or copy it again from its source."
        raise InputError(msg) from error
