"""MatrixMarket files with lists of names, the common base of the folders of counting tools."""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo.contents.layer_names import AMBIGUOUS, COUNTS, standard_name
from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import require_memory
from deepvelo.io.formats.read_options import with_notes

if TYPE_CHECKING:
    from anndata import AnnData

GENE_COLUMNS: Final = ("gene_id", "gene_name", "feature_types")
UNFILTERED: Final = (
    "These are unfiltered droplets, most of them without a cell. Join them with a processed object, or give the "
    "filtered matrices."
)
_GZIP: Final = b"\x1f\x8b"
_MAX_PACKED = 1032  # maximum compression ratio of deflate
# Lists of names and of entries compress 3 to 10-fold.
_MAX_TIMES_PACKED = 50
_ALWAYS_UNPACKED = 2**28
_AT_ONCE = 2**20
_BYTES_PER_ENTRY = 4  # the shortest line of a matrix, "1 1\n"
_BYTES_PER_DENSE_ENTRY = 2
_LONGEST_LINE = 4096
_MEMORY_AS_READ = 16  # bytes of an entry: row, column and value
_MEMORY_AS_KEPT = 8
_MEMORY_PER_BYTE = 10  # of a list of names
_MAX_COLUMNS = 100  # of a list of names
_MAX_LISTED = 1000  # names of a folder
_LINES_AT_ONCE = 2_000_000
_LINES_LOOKED_AT = 20
_CELL_WORDS = ("barcodes", "barcode", "cells", "cell", "obs", "colnames")
_GENE_WORDS = ("genes", "gene", "features", "feature", "var", "rownames")
# Titles of columns of names; R writes x, V1 or nothing.
_TITLE = re.compile(
    r"(?:(?:cell|gene|feature|barcode|ensembl|transcript|sample|obs|var)s?[\s_.]*)*"
    r"(?:(?:id|name|symbol|barcode|index|type|x|v?\d)s?)?",
    re.IGNORECASE,
)
_TEXT = (".tsv", ".txt", ".csv")


@dataclass(frozen=True)
class Header:
    """The header of a MatrixMarket file."""

    n_rows: int
    n_columns: int
    n_entries: int
    values_per_line: int
    """1, or 3 where STARsolo wrote spliced, unspliced and ambiguous counts in one line."""
    n_lines: int
    """Number of lines before the entries."""
    dense: bool = False
    """Whether the file lists all values column by column, without indices."""


@dataclass(frozen=True)
class Part:
    """A matrix and the names of its cells and genes."""

    matrix: Path
    cells: Path
    genes: Path


def visible_names(folder: Path) -> list[str]:
    """Sorted names in a folder without hidden ones, at most `_MAX_LISTED`; empty if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in islice(found, _MAX_LISTED))
            return [name for name in names if not name.startswith((".", "__MACOSX"))]
    except OSError:
        return []


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of these files that exists, plain or with ``.gz``."""
    paths = (folder / f"{name}{packed}" for name in names for packed in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, and decompress it if it has the gzip signature.

    Reading raises a ``ValueError`` if it decompresses to more than text of its size does.
    """
    if not _is_packed(path):
        return path.open("rb")
    return io.BufferedReader(_Unpacked(path), buffer_size=_AT_ONCE)


class _Unpacked(io.RawIOBase):
    """A gzip file with a limit on the decompressed bytes."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "rb")
        self._left = max(_ALWAYS_UNPACKED, _MAX_TIMES_PACKED * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self._file.readinto(buffer)
        self._left -= n
        if self._left < 0:
            msg = "it unpacks to far more than text of its size does"
            raise ValueError(msg)
        return n

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def is_matrix(path: Path) -> bool:
    """By its ending, ``.mtx`` or ``.mtx.gz``."""
    return path.name.lower().endswith((".mtx", ".mtx.gz"))


def header(path: Path) -> Header:
    """The declared sizes of a matrix.

    Raises
    ------
    InputError
        The file does not start as a MatrixMarket file.
    """
    sizes: list[int] = []
    first: list[bytes] = []
    n_lines = 0
    try:
        with open_bytes(path) as file:
            for line in islice(_lines(file), 10_000):
                if sizes:
                    first = line.split()
                    break
                n_lines += 1
                if not line.lstrip().startswith(b"%") and line.strip():
                    if len(line) >= _LONGEST_LINE:
                        msg = "the line with its sizes is too long"
                        raise ValueError(msg)
                    sizes = [int(word) for word in line.split()]
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path, error) from error
    dense = len(sizes) == 2
    if dense:
        sizes.append(sizes[0] * sizes[1])
        first = [b"", b"", *first]
    if len(sizes) != 3 or min(sizes) < 0:
        msg = f"{_label(path)} is no MatrixMarket file: the line with its sizes is missing. Copy it again from its source."
        raise InputError(msg)
    return Header(
        sizes[0], sizes[1], sizes[2], values_per_line=max(1, len(first) - 2), n_lines=n_lines, dense=dense
    )


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines, truncated where they are too long."""
    whole = True
    while line := file.readline(_LONGEST_LINE):
        if whole:
            yield line
        whole = line.endswith(b"\n")


def require_plausible(path: Path, head: Header) -> None:
    """Check the declared sizes against the file and the free memory before anything is allocated."""
    most = path.stat().st_size * (_MAX_PACKED if _is_packed(path) else 1)
    shortest = _BYTES_PER_DENSE_ENTRY if head.dense else _BYTES_PER_ENTRY
    if head.n_entries * shortest > most + shortest:
        msg = (
            f"{_label(path)} claims {head.n_entries:,} entries, more than its {path.stat().st_size:,} bytes can hold. "
            "It is truncated or damaged: copy it again."
        )
        raise InputError(msg)
    needed = head.n_entries * (_MEMORY_AS_READ + _MEMORY_AS_KEPT) * head.values_per_line
    require_memory(needed + 8 * (head.n_rows + head.n_columns), _label(path))


def read_matrix(path: Path, head: Header) -> sparse.coo_matrix:
    """Rows x columns as in the file.

    Raises
    ------
    InputError
        The file is damaged, or declares more than it can hold or than fits into memory.
    """
    from scipy.io import mmread

    require_plausible(path, head)
    try:
        with open_bytes(path) as file:
            # Hide `seek`: scipy's reader calls it when it is freed, which aborts the process on a closed file.
            return sparse.coo_matrix(mmread(SimpleNamespace(read=file.read)))
    except (ValueError, OverflowError, OSError, EOFError) as error:
        raise _damaged(path, error) from error


def read_three_columns(path: Path, head: Header) -> list[sparse.coo_matrix]:
    """Spliced, unspliced and ambiguous counts of a matrix with three values per line (STARsolo before 2.7.5)."""
    require_plausible(path, head)
    parts: list[list[np.ndarray]] = [[], [], []]
    try:
        with open_bytes(path) as file:
            lines = pd.read_csv(
                file, sep=r"\s+", header=None, skiprows=head.n_lines, chunksize=_LINES_AT_ONCE, dtype=np.int32
            )
            for some in lines:
                rows, columns, *values = some.to_numpy().T
                if len(some) and (
                    rows.max() > head.n_rows or columns.max() > head.n_columns or some.min().min() < 0
                ):
                    msg = "a row or column lies outside of the matrix"
                    raise ValueError(msg)
                for part, counts in zip(parts, values, strict=True):
                    there = counts != 0
                    part.append(np.stack([rows[there] - 1, columns[there] - 1, counts[there]]))
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    whole = [np.concatenate(part, axis=1) if part else np.empty((3, 0), np.int32) for part in parts]
    shape = (head.n_rows, head.n_columns)
    return [sparse.coo_matrix((values, (rows, columns)), shape=shape) for rows, columns, values in whole]


def read_names(path: Path) -> pd.DataFrame:
    """The columns of a list of names as stripped text, without blank lines at its end."""
    try:
        with open_bytes(path) as file:
            size = 0
            while block := file.read(_AT_ONCE):  # a compressed list does not declare its length
                size += len(block)
                require_memory(_MEMORY_PER_BYTE * size, _label(path))
                if b"\n" not in block and b"\r" not in block and len(block) == _AT_ONCE:
                    msg = f"it has a line of more than {_AT_ONCE:,} bytes"
                    raise ValueError(msg)
        with open_bytes(path) as file:
            start = [line for line in islice(_lines(file), _LINES_LOOKED_AT) if line.strip()]
            sep = b"\t" if any(b"\t" in line for line in start) else b","
            n_columns = max((line.count(sep) for line in start), default=0) + 1
            if n_columns > _MAX_COLUMNS:
                msg = f"it has {n_columns:,} columns, a list of names a few"
                raise ValueError(msg)
        with open_bytes(path) as file:
            table = pd.read_csv(
                file, sep=sep.decode(), names=range(n_columns), index_col=False, dtype=str, keep_default_na=False,
                skip_blank_lines=False, encoding="utf-8-sig",
            ).fillna("")  # fmt: skip
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    table = table.apply(lambda column: column.str.strip())
    named = np.flatnonzero((table != "").any(axis=1))
    return table[: named[-1] + 1 if len(named) else 0]


def cells_in_rows(
    head: Header, cells: pd.DataFrame, genes: pd.DataFrame, *, cells_first: bool, matrix: Path
) -> bool:
    """Whether the rows of a matrix are cells, judged by the numbers of names. Lists may have a title line.

    Raises
    ------
    InputError
        The numbers fit neither orientation.
    """
    shape = (head.n_rows, head.n_columns)
    for n_cells in {len(cells), len(cells) - _has_title(cells)}:
        for n_genes in {len(genes), len(genes) - _has_title(genes)}:
            for by_rows in (cells_first, not cells_first):
                if shape == ((n_cells, n_genes) if by_rows else (n_genes, n_cells)):
                    return by_rows
    msg = (
        f"{_label(matrix)} is a matrix of {head.n_rows:,} x {head.n_columns:,}, but the files beside it name "
        f"{len(cells):,} cells and {len(genes):,} genes. Give files of the same run."
    )
    raise InputError(msg)


def _has_title(names: pd.DataFrame) -> bool:
    """Whether the first line of a list holds column titles."""
    return len(names) > 0 and _TITLE.fullmatch(names.iloc[0, 0]) is not None


def read_parts(parts: Mapping[str, Part], *, cells_first: bool) -> AnnData:
    """Read layers of cells x genes from one matrix each.

    Parameters
    ----------
    parts
        By layer. If the matrices differ in their cells or genes, the shared ones are kept, with a note.
    cells_first
        Orientation of a matrix whose numbers of cells and genes are equal.

    Returns
    -------
    Layers as CSR float32, names of cells and genes, and further columns of the gene list in ``var``. ``X`` is empty.
    """
    import anndata

    tables = {path: read_names(path) for part in parts.values() for path in (part.cells, part.genes)}
    heads = {layer: header(part.matrix) for layer, part in parts.items()}
    by_rows = {}
    for layer, part in parts.items():  # check all before reading the first
        head = heads[layer]
        if head.values_per_line > 1:
            raise _damaged(part.matrix, ValueError(f"its lines have {head.values_per_line} values"))
        require_plausible(part.matrix, head)
        by_rows[layer] = cells_in_rows(
            head, tables[part.cells], tables[part.genes], cells_first=cells_first, matrix=part.matrix
        )
    entries = [head.n_entries for head in heads.values()]
    folder = parts[next(iter(parts))].matrix.parent
    require_memory(_MEMORY_AS_READ * max(entries) + _MEMORY_AS_KEPT * sum(entries), folder.name)
    layers, cells, genes = {}, {}, {}
    for layer, part in parts.items():
        head = heads[layer]
        n_cells, n_genes = (head.n_rows, head.n_columns)[:: 1 if by_rows[layer] else -1]
        cells[layer] = cell_names(tables[part.cells], n_cells)
        genes[layer] = gene_table(tables[part.genes], n_genes)
        layers[layer] = by_cells(read_matrix(part.matrix, head), cells_in_rows=by_rows[layer])
    first = next(iter(parts))
    notes = reduce_to_shared(layers, cells, genes)
    adata = anndata.AnnData(obs=pd.DataFrame(index=cells[first]), var=genes[first], layers=layers)
    return with_notes(adata, notes)


def reduce_to_shared(
    layers: dict[str, Any], cells: dict[str, pd.Index], genes: dict[str, pd.DataFrame]
) -> list[str]:
    """Reduce all layers to their shared cells and genes, in place; returns a note if they differ."""
    first, said = next(iter(layers)), []
    for what in ("cells", "genes"):
        index = cells if what == "cells" else {layer: table.index for layer, table in genes.items()}
        if all(found.equals(index[first]) for found in index.values()):
            continue
        if not all(found.is_unique for found in index.values()):
            msg = f"The matrices of the layers have different {what}, and some of their names occur twice. Make them unique."
            raise InputError(msg)
        shared = index[first]
        for found in index.values():
            shared = shared[shared.isin(found)]
        counts = ", ".join(f"{len(found):,} in {layer}" for layer, found in index.items())
        said.append(f"{len(shared):,} {what} ({counts})")
        for layer, found in dict(index).items():
            places = found.get_indexer(shared)
            if what == "cells":
                layers[layer], cells[layer] = layers[layer][places], shared
            else:
                layers[layer], genes[layer] = layers[layer][:, places], genes[layer].iloc[places]
    return [f"Only the {' and '.join(said)} that all matrices share were kept."] if said else []


def by_cells(matrix: sparse.coo_matrix, *, cells_in_rows: bool) -> sparse.csr_matrix:
    """Cells x genes as CSR of float32."""
    return sparse.csr_matrix(matrix if cells_in_rows else matrix.T, dtype=np.float32)


def cell_names(table: pd.DataFrame, n: int) -> pd.Index:
    """The last ``n`` names of a list, after a title line if any."""
    return pd.Index(_name_columns(table, n)[0].to_numpy())


def gene_table(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """The last ``n`` genes of a list, indexed by the first column, with symbol, type and further columns."""
    columns = _name_columns(table, n)
    titles = [*GENE_COLUMNS, *(f"column_{i + 1}" for i in range(len(GENE_COLUMNS), len(columns)))]
    found = {title: column.to_numpy() for title, column in zip(titles, columns, strict=False)}
    return pd.DataFrame(found).set_index("gene_id").rename_axis(None)


def _name_columns(table: pd.DataFrame, n: int) -> list[pd.Series]:
    """Columns without a title line and without R's row numbers."""
    rows = table.iloc[len(table) - n :]
    numbered = rows.shape[1] > 1 and n and rows[0].tolist() == [str(i + 1) for i in range(n)]
    return [rows[column] for column in rows.columns[int(bool(numbered)) :]]


def without_empty_cells(adata: AnnData) -> AnnData:
    """Cells with a count in any layer, and a note on how many were left out."""
    totals = [np.asarray(layer.sum(axis=1)).ravel() for layer in adata.layers.values()]
    counted = np.sum(totals, axis=0) > 0
    if counted.all():
        return adata
    note = f"{int((~counted).sum()):,} of {adata.n_obs:,} barcodes without any count were left out."
    return with_notes(adata[counted].copy(), [note])


def find_parts(folder: Path) -> dict[str, Part]:
    """Find the matrices of spliced, unspliced and ambiguous counts in a folder, with their lists of names.

    Raises
    ------
    InputError
        A layer has several matrices, or a list of names is missing.
    """
    matrices = find_matrices(folder)
    return {
        layer: Part(
            matrix, _names_beside(matrix, _CELL_WORDS, "cells"), _names_beside(matrix, _GENE_WORDS, "genes")
        )
        for layer, matrix in matrices.items()
    }


def find_matrices(folder: Path) -> dict[str, Path]:
    """Path of the matrix of each layer; empty unless both spliced and unspliced exist.

    Either a file named after its layer (``spliced.mtx``, ``cells_x_genes.mature.mtx``, ``GSM1_exon.mtx.gz``), or a
    folder named after it that holds ``matrix.mtx``.
    """
    found: dict[str, list[Path]] = {}
    for name in visible_names(folder):
        path = folder / name
        if is_matrix(path):
            matrix: Path | None = path
        elif path.suffix == "" or path.is_dir():
            matrix = find_file(path, "matrix.mtx")
        else:
            matrix = None
        layer = _layer_of(re.sub(r"\.mtx(\.gz)?$", "", name, flags=re.IGNORECASE))
        if matrix is not None and layer is not None:
            found.setdefault(layer, []).append(matrix)
    if not set(COUNTS) <= set(found):
        return {}
    for layer, paths in found.items():
        if len(paths) > 1:
            shown = ", ".join(f"'{path.relative_to(folder)}'" for path in paths[:3])
            msg = f"{folder.name} holds several matrices of {layer} counts: {shown}. Give each sample a folder of its own."
            raise InputError(msg)
    return {layer: paths[0] for layer, paths in found.items()}


def _layer_of(stem: str) -> str | None:
    """The layer that a file is named after, by its whole name or by one word of it."""
    words = {stem, *re.split(r"[^A-Za-z]+", stem)}
    layers = {layer for word in words if (layer := standard_name(word)) in (*COUNTS, AMBIGUOUS)}
    return layers.pop() if len(layers) == 1 else None


def _names_beside(matrix: Path, words: tuple[str, ...], what: str) -> Path:
    """The list of names of a matrix: its own (``spliced.barcodes.txt``), otherwise the shared one."""
    folder = matrix.parent
    own = re.sub(r"\.mtx(\.gz)?$", "", matrix.name, flags=re.IGNORECASE)
    candidates = []
    for name in visible_names(folder):
        plain = name.lower().removesuffix(".gz")
        stem = plain.rpartition(".")[0].removeprefix("cells_x_genes")
        if not plain.endswith(_TEXT):
            continue
        found = re.split(r"[^a-z0-9]+", stem)
        place = next((i for i, word in enumerate(words) if word in found), None)
        foreign = _layer_of(stem) is not None and not name.startswith(own)
        if place is not None and not foreign:
            candidates.append((not name.startswith(own), place, len(name), name))
    if not candidates:
        msg = (
            f"There is no list of the names of {what} beside {_label(matrix)}, such as {words[0]}.tsv. Put it into the "
            "same folder."
        )
        raise InputError(msg)
    return folder / min(candidates)[-1]


def _label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _damaged(path: Path, error: BaseException) -> InputError:
    reason: Any = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return InputError(f"{_label(path)} is damaged or truncated: {reason}. Copy it again from its source.")
