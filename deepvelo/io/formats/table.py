"""CSV or TSV tables of cells with metadata or an embedding, to be joined with counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import require_memory
from deepvelo.io.formats.hdf5 import is_hdf5
from deepvelo.io.formats.read_options import ReadOptions

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "tables of cells (CSV)"
SUFFIXES: Final = (".csv", ".tsv")
_ENDINGS = (*SUFFIXES, ".txt", ".tab")
_SEPARATORS = ("\t", ",", ";")
_MEMORY_PER_BYTE = 8  # text takes more room in memory than in the file
_LONGEST_LINE = 2**20
# A line with a name and a value has at least this many compressed bytes.
_ALWAYS_LINES, _BYTES_OF_LINE = 1_000_000, 4
_MAX_TITLES = 20_000  # pandas takes minutes for more columns
_MAX_COLUMNS = 500  # a table with more numeric columns is a count matrix


def recognizes(path: Path) -> bool:
    """By its ending."""
    return path.is_file() and path.suffix.lower() in _ENDINGS and not is_hdf5(path)


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read an object without genes: the first column names the cells, the others become ``obs``.

    Raises
    ------
    InputError
        The file is not a table, or is a count matrix.
    """
    import anndata

    require_memory(_MEMORY_PER_BYTE * path.stat().st_size, path.name)
    sep = separator(path)
    _require_lines(path, sep, packed_size=options.with_size(path.stat().st_size).packed_size)
    frame = _read_csv(path, sep, ".")
    if sep == ";" and frame.shape[1] > frame.select_dtypes("number").shape[1]:
        # Locales with a decimal comma separate by semicolons, though many programs still write 0.5.
        other = _read_csv(path, sep, ",").select_dtypes("number")
        texts = frame.columns.difference(frame.select_dtypes("number").columns)
        frame = frame.assign(**{column: other[column] for column in other.columns.intersection(texts)})
    if frame.index.name in (None, "Unnamed: 0", ""):
        frame.index.name = None
    numbers = frame.select_dtypes("number").shape[1]
    if numbers > _MAX_COLUMNS:
        msg = (
            f"{path.name} is a table of {len(frame):,} x {numbers:,} numbers, one count for each gene, without unspliced "
            "counts. Give what velocyto, kb, alevin-fry or STARsolo wrote."
        )
        raise InputError(msg)
    if not frame.shape[1] or not len(frame):
        msg = (
            f"{path.name} is no table of cells: it has {len(frame):,} rows and {frame.shape[1]} columns beside the names. "
            "Save it with a title line, the names of cells first, separated by commas or tabs."
        )
        raise InputError(msg)
    frame.index = frame.index.astype(str)
    frame.columns = frame.columns.astype(str)
    return anndata.AnnData(obs=frame)


def _read_csv(path: Path, sep: str, decimal: str) -> pd.DataFrame:
    return pd.read_csv(path, sep=sep, decimal=decimal, index_col=0, dtype={0: str}, low_memory=False)


def _require_lines(path: Path, sep: str, *, packed_size: int) -> None:
    """Refuse overlong lines, one column per gene, and an implausible number of lines before the table is read."""
    with path.open("rb") as file:
        # the title is the first line that is not blank; lines may end in a carriage return alone
        title = next((line for line in iter(lambda: file.readline(_LONGEST_LINE), b"") if line.strip()), b"")
        n_columns = title.lstrip().partition(b"\r")[0].count(sep.encode())
        block, n_lines = title, 1
        while block and (b"\n" in block or b"\r" in block or len(block) < _LONGEST_LINE):
            block = file.read(_LONGEST_LINE)
            n_lines += max(block.count(b"\n"), block.count(b"\r"))
    if n_lines > _ALWAYS_LINES + packed_size // _BYTES_OF_LINE:
        msg = f"{path.name} has {n_lines:,} lines, more than its {packed_size / 2**20:,.1f} MB have cells. Give a table with a line a cell."
        raise InputError(msg)
    if block:
        msg = f"{path.name} is no table of cells: it has a line of more than {_LONGEST_LINE:,} characters. Give a table with a line a cell."
        raise InputError(msg)
    if n_columns > _MAX_TITLES:
        msg = (
            f"{path.name} is a table of {n_columns:,} columns, one for each gene, without unspliced counts. Give what velocyto, "
            "kb, alevin-fry or STARsolo wrote."
        )
        raise InputError(msg)


def separator(path: Path) -> str:
    """The separator that occurs most often in the title, the first line that is not blank."""
    with path.open(encoding="utf-8", errors="replace") as file:
        title = next((line for line in iter(lambda: file.readline(1 << 20), "") if line.strip()), "")
    return max(_SEPARATORS, key=title.count)
