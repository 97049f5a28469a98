"""R object files, which only R can read: refused with the R code that exports the counts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, NoReturn

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import is_hdf5
from deepvelo.io.formats.read_options import ReadOptions

LABEL: Final = "R object"
SUFFIXES: Final = ()
_LOADERS: Final = {
    ".rds": "o <- readRDS({name})",
    ".qs": "o <- qs::qread({name})",
    ".qs2": "o <- qs2::qs_read({name})",
    ".rdata": "o <- get(load({name})[1])",
    ".rda": "o <- get(load({name})[1])",
    ".robj": "o <- get(load({name})[1])",
}
# dropEst's list of matrices, each with its own genes and cells.
_DROPEST = (
    "g <- Reduce(intersect, lapply(o, rownames)); b <- Reduce(intersect, lapply(o, colnames)); "
    'for (n in names(o)) Matrix::writeMM(as(o[[n]][g, b], "CsparseMatrix"), file.path("counts", paste0(n, ".mtx")))',
    'writeLines(b, "counts/barcodes.tsv"); writeLines(g, "counts/features.tsv")',
)
# The second argument is positional, because Seurat 4 names it slot and Seurat 5 layer.
_SEURAT = (
    'for (a in c("spliced", "unspliced")) Matrix::writeMM(Seurat::GetAssayData(o[[a]], "counts"), '
    'file.path("counts", paste0(a, ".mtx")))',
    'writeLines(colnames(o), "counts/barcodes.tsv"); writeLines(rownames(o[["spliced"]]), "counts/features.tsv"); '
    'write.csv(o@meta.data, "metadata.csv")',
)


def recognizes(path: Path) -> bool:
    """By its ending, also with ``.gz``."""
    return path.is_file() and _suffix(path) in _LOADERS and not is_hdf5(path)


def read(path: Path, options: ReadOptions) -> NoReturn:
    """Refused.

    Raises
    ------
    InputError
        Always.
    """
    name = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    lines = _DROPEST if "matrices" in name.lower() else _SEURAT
    # JSON escapes quotes and backslashes as R does
    load = _LOADERS[_suffix(path)].format(name=json.dumps(name, ensure_ascii=False))
    unpack = "" if name == path.name else f"Unpack {path.name} first. "
    msg = (
        f"{path.name} is an object of R, which only R can read. {unpack}Export it in R: "
        f'`{load}; dir.create("counts"); {lines[0]}` and then `{lines[1]}`. Give the folder counts.'
    )
    raise InputError(msg)


def _suffix(path: Path) -> str:
    return Path(re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)).suffix.lower()
