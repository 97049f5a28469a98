"""Read the counts of several samples, one file or folder each, into one object."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo import keys
from deepvelo.contents.genes import same_genes
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError
from deepvelo.io.formats import SUFFIXES
from deepvelo.io.formats.read_options import with_notes
from deepvelo.io.formats.table import separator
from deepvelo.io.read import read
from deepvelo.plain_text import read_text
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

SAMPLE = "sample"
_LONGEST_SHEET, _LARGEST_SHEET = 1_000_000, 1000  # characters; rows and columns

# Names that counting tools give to files and folders of every sample.
_GENERIC = re.compile(
    r"outs?|output|data|velocyto|gene(full)?|(solo\.?)?out|solo|filtered|raw|adata|matrix|matrices|counts?(_(un)?filtered)?|"
    r"(af_)?quant(_res)?|alevin|spliced|unspliced|possorted_genome_bam.*|cellsorted.*|.*feature_bc_matrix|aligned.*",
    re.IGNORECASE,
)
_FILE_COLUMN = re.compile(
    r"(file|path|folder|director(y|ies)|dir|counts?)s?([_ .]?(name|path)s?)?", re.IGNORECASE
)
_SAMPLE_COLUMN = re.compile(r"samples?([_ .]?(id|names?))?|name|library([_ .]?id)?", re.IGNORECASE)


def read_samples(paths: Sequence[Path | str], *, sheet: Path | str | None = None, **reading: Any) -> AnnData:
    """Read the counts of several samples.

    Parameters
    ----------
    paths
        One file or folder per sample, as for `deepvelo.io.read`.
    sheet
        A CSV or TSV table with one row per sample. One column identifies the file by its path, name or folder, or by a
        sample name that is part of the path. A column ``sample`` names the samples; the others become columns of
        ``obs``.
    **reading
        Keyword arguments of `deepvelo.io.read`.

    Returns
    -------
    Cells of all samples, named ``SAMPLE:NAME``, and the union of their genes, matched by name, id or symbol. Layers
    ``spliced`` and ``unspliced`` are CSR float32, 0 where a sample's file lacks the gene. ``obs["sample"]`` is set.

    Raises
    ------
    InputError
        A file is missing, unreadable, given twice or without counts, or the rows of the sheet do not match the files.

    Examples
    --------
    >>> dv.io.write_h5ad(adata[:40], folder / "one.h5ad")
    >>> dv.io.write_h5ad(adata[40:], folder / "two.h5ad")
    >>> both = dv.io.read_samples([folder / "one.h5ad", folder / "two.h5ad"])
    >>> both.obs["sample"].value_counts().to_dict()
    {'one': 40, 'two': 40}
    """
    files = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 (links keep their names)
    table = None if sheet is None else _read_sheet(Path(sheet))
    if not files:
        msg = "No files with counts were given. Give a file or folder for each sample."
        raise InputError(msg)
    if missing := [str(path) for path in files if not path.exists()]:
        msg = f"There is no file {listed(missing)}. Check the paths of the samples."
        raise InputError(msg)
    _require_different(files)
    names = sample_names(files)
    rows = None if table is None else _rows_of(table, files, names, str(sheet))
    if rows is not None and (column := _sample_column(rows)) is not None:
        names = list(rows[column])
        rows = rows.drop(columns=column)
    samples = {}
    for path, name in zip(files, names, strict=True):
        samples[name] = _with_counts(read(path, **reading), path)
    _require_different_cells(samples, files)
    return _concatenated(samples, rows)


def sample_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file or folder: the rightmost part of its path that differs between all of them.

    Generic names of counting tools (``Solo.out/Velocyto/filtered``, ``adata.h5ad``) are skipped where possible.
    """
    parts = []
    for path in paths:
        *folders, last = path.resolve().parts[1:]
        every = [*folders, _without_suffix(last)][::-1]
        parts.append([part for part in every if not _GENERIC.fullmatch(part)] or every)
    for depth in range(min(map(len, parts))):
        found = [one[depth] for one in parts]
        if len(set(found)) == len(found):
            return found
    longest = [f"{one[min(1, len(one) - 1)]}_{one[0]}" for one in parts]
    return longest if len(set(longest)) == len(paths) else [f"{n}_{x}" for n, x in enumerate(longest, 1)]


def _without_suffix(name: str) -> str:
    name = name.removesuffix(".gz")
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].removesuffix(".zarr")
    return name


def _read_sheet(path: Path) -> pd.DataFrame:
    """The table as text, with None for missing values."""
    if not path.is_file():
        msg = f"There is no sample sheet {path}. Check the path."
        raise InputError(msg)
    text = read_text(path, most=_LONGEST_SHEET)
    header, _, rows = text.partition("\n")
    if max(len(header.split(separator(path))), rows.count("\n")) > _LARGEST_SHEET:
        msg = f"The sample sheet {path.name} has more than {_LARGEST_SHEET:,} rows or columns. Give a row for each sample."
        raise InputError(msg)
    try:
        table = pd.read_csv(StringIO(text), sep=separator(path), dtype=str)
    except ValueError as error:  # pandas' own errors are ValueErrors
        msg = (
            f"The sample sheet {path.name} could not be read as a table. Save it as CSV or TSV with a header."
        )
        raise InputError(msg) from error
    table = table.rename(columns=lambda name: str(name).strip()).dropna(how="all")
    table = table.loc[:, ~table.columns.str.startswith("Unnamed")]  # row numbers written by pandas
    table = table.map(lambda value: value.strip() if isinstance(value, str) else None)
    if table.empty:
        msg = f"The sample sheet {path.name} has no rows. Give a row for each sample, below a header."
        raise InputError(msg)
    return table.reset_index(drop=True)


def _rows_of(table: pd.DataFrame, files: Sequence[Path], names: Sequence[str], sheet: str) -> pd.DataFrame:
    """The row of each file, in the order of the files, without the column that identifies them."""
    fits = {
        column: [
            [_fits(value, path, name) for path, name in zip(files, names, strict=True)] for value in values
        ]
        for column, values in table.items()
    }
    column = _telling_column(fits, sheet)
    rows = fits[column]
    unfit = [str(table[column][i]) for i, row in enumerate(rows) if sum(row) != 1]
    taken = [row.index(True) for row in rows if sum(row) == 1]
    without = [
        path.name if files[0].name != files[-1].name else str(path)
        for n, path in enumerate(files)
        if n not in taken
    ]
    if unfit or without or len(set(taken)) < len(taken):
        repeated = sorted({names[n] for n in taken if taken.count(n) > 1})
        found = [f"rows that fit no file or several: {listed(unfit)}"] * bool(unfit)
        found += [f"files without a row: {listed(without)}"] * bool(without)
        found += [f"files with several rows: {listed(repeated)}"] * bool(repeated)
        msg = (
            f"The rows of the sample sheet {Path(sheet).name} do not correspond to the files: {'; '.join(found)}. "
            "Give each file one row, with its name in a column 'file' or its sample's name in a column 'sample'."
        )
        raise InputError(msg)
    ordered = table.iloc[np.argsort(taken)].reset_index(drop=True)
    return ordered if _SAMPLE_COLUMN.fullmatch(str(column)) else ordered.drop(columns=column)


def _telling_column(fits: dict[str, list[list[bool]]], sheet: str) -> str:
    """The column that identifies the files; among several, one whose name says so.

    Raises
    ------
    InputError
        Two such columns assign the rows to different files.
    """
    one_each = {
        column: tuple(row.index(True) for row in rows)
        for column, rows in fits.items()
        if all(sum(row) == 1 for row in rows)
        and all(sum(of_file) == 1 for of_file in zip(*rows, strict=True))
    }
    if not one_each:  # the column whose rows fit the most different files
        return max(fits, key=lambda key: len({row.index(True) for row in fits[key] if sum(row) == 1}))
    named = [
        column for column in one_each if _FILE_COLUMN.fullmatch(column) or _SAMPLE_COLUMN.fullmatch(column)
    ]
    telling = named or list(one_each)
    if len({one_each[column] for column in telling}) > 1:
        msg = (
            f"Columns {listed(telling)} of the sample sheet {Path(sheet).name} assign the rows to different files. "
            "Give each file one row, with its name in a column 'file'."
        )
        raise InputError(msg)
    return telling[0]


def _fits(value: str | None, path: Path, name: str) -> bool:
    """Whether a value of the sheet identifies the file by the end of its path, a folder in it, or the sample's name."""
    if not value:
        return False
    parts = Path(value).parts
    whole = path.resolve().parts
    return (
        whole[-len(parts) :] == parts
        or value.lower() in (name.lower(), _without_suffix(path.name).lower())
        or (len(parts) == 1 and value in whole)
    )


def _sample_column(rows: pd.DataFrame) -> str | None:
    """A column with a sample-like name and unique values."""
    for column, values in rows.items():
        if _SAMPLE_COLUMN.fullmatch(str(column)) and values.notna().all() and values.is_unique:
            return str(column)
    return None


def _require_different(files: Sequence[Path]) -> None:
    resolved = [path.resolve() for path in files]
    if repeated := sorted(
        {str(path) for path, whole in zip(files, resolved, strict=True) if resolved.count(whole) > 1}
    ):
        msg = f"The same file was given twice: {listed(repeated)}. Give each sample once."
        raise InputError(msg)


def _with_counts(adata: AnnData, path: Path) -> AnnData:
    """The parts of a sample that the result uses; keeping the others would fill the memory."""
    from anndata import AnnData

    missing = [layer for layer in (keys.SPLICED, keys.UNSPLICED) if layer not in adata.layers]
    if missing:
        msg = (
            f"{path} has no layer {' and no '.join(map(repr, missing))}. Found {listed(sorted(adata.layers))}. "
            "Give the file that velocyto, kb, alevin-fry or STARsolo wrote for this sample."
        )
        raise InputError(msg)
    embeddings = list(adata.obsm)
    kept = AnnData(
        obs=adata.obs,
        var=adata.var,
        layers={layer: adata.layers[layer] for layer in (keys.SPLICED, keys.UNSPLICED)},
    )
    left = f"The embeddings {listed(embeddings)} were left out, because each sample has its own."
    return with_notes(kept, stored_notes(adata) + [left] * bool(embeddings))


def _require_different_cells(samples: dict[str, AnnData], files: Sequence[Path]) -> None:
    """Refuse a copy of a file under another name, whose cells would count twice."""
    seen: dict[tuple[Any, ...], str] = {}
    for (name, adata), path in zip(samples.items(), files, strict=True):
        content = (
            adata.shape,
            float(adata.layers[keys.SPLICED].sum()),
            tuple(sorted(adata.obs_names[:1000])),
        )
        if seen.get(content):
            msg = (
                f"Samples '{seen[content]}' and '{name}' have the same cells and counts ({path}). "
                "Give each sample once."
            )
            raise InputError(msg)
        seen[content] = name


def _concatenated(samples: dict[str, AnnData], rows: pd.DataFrame | None) -> AnnData:
    from anndata import AnnData

    var, columns = _all_genes([adata.var for adata in samples.values()])
    layers = {
        layer: sparse.vstack(
            [
                _spread(adata.layers.pop(layer), where, len(var))
                for adata, where in zip(samples.values(), columns, strict=True)
            ],
            format="csr",
        )
        for layer in (keys.SPLICED, keys.UNSPLICED)
    }
    tables = [_obs(adata, name, rows, n) for n, (name, adata) in enumerate(samples.items())]
    obs = pd.concat(tables)
    for column in (SAMPLE, *([] if rows is None else rows.columns)):
        obs[column] = pd.Categorical(obs[column])
    joined = AnnData(obs=obs, var=var, layers=layers)
    notes = [f"{name}: {note}" for name, adata in samples.items() for note in stored_notes(adata)]
    n_files = np.sum([np.bincount(where, minlength=len(var)) for where in columns], axis=0)
    in_all = int(np.count_nonzero(n_files == len(samples)))
    cells = ", ".join(f"{name} ({number(adata.n_obs, 'cell')})" for name, adata in samples.items())
    notes.append(
        f"{number(len(samples), 'sample')} read: {cells}. {in_all:,} of {number(len(var), 'gene')} are in all of them; "
        "the others count as 0 where a file lacks them."
    )
    joined.uns[keys.NOTES] = notes
    return joined


def _all_genes(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """The union of the genes of all files, and for each file the row of each of its genes in the union."""
    genes, columns = tables[0], [np.arange(len(tables[0]))]
    for table in tables[1:]:
        where = same_genes(genes, table)
        new = where < 0
        where[new] = np.arange(len(genes), len(genes) + new.sum())
        columns.append(where)
        genes = pd.concat([genes, table[new]])
    return genes, columns


def _spread(matrix: Any, where: np.ndarray, n_genes: int) -> sparse.csr_matrix:
    """The counts of a sample as a matrix over all genes."""
    found = sparse.csr_matrix(matrix, dtype=np.float32)
    spread = sparse.csr_matrix(
        (found.data, where[found.indices].astype(found.indices.dtype), found.indptr),
        (found.shape[0], n_genes),
    )
    spread.sort_indices()
    return spread


def _obs(adata: AnnData, name: str, rows: pd.DataFrame | None, n: int) -> pd.DataFrame:
    """The ``obs`` of a sample with its name and its columns of the sheet."""
    given = {SAMPLE: name} | ({} if rows is None else {str(key): rows[key][n] for key in rows.columns})
    renamed: dict[str, str] = {}
    for column in given:
        renamed[column] = f"{column}_in_file"
        while renamed[column] in {*adata.obs, *given}:
            renamed[column] += "_in_file"
    obs = adata.obs.rename(columns=renamed)
    obs = obs.astype({column: object for column in obs if obs[column].dtype == "category"})
    obs = obs.assign(**given)
    obs.index = pd.Index([f"{name}:{cell}" for cell in adata.obs_names])
    return obs
