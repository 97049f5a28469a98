"""Standardise names: barcodes instead of row numbers, symbols instead of ids, and unique names."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from deepvelo import keys
from deepvelo.contents.columns import as_text, is_textual
from deepvelo.contents.genes import name_columns, name_normalizer
from deepvelo.errors import InputError
from deepvelo.io.matching.labels import identifiers, is_row_numbers
from deepvelo.wording import in_one_line, listed, number

if TYPE_CHECKING:
    from anndata import AnnData

GENE_IDS: Final = "gene_ids"  # scanpy's name
# Names of columns with symbols in order of preference, in lower case without separators.
_SYMBOLS: Final = (
    "featurename", "genesymbol", "genesymbols", "symbol", "symbols", "genename", "genenames", "geneshortname",
    "externalgenename", "hgncsymbol", "mgisymbol", "targetname", "genesname", "name", "names", "gene", "genes", "feature",
    "features",
)  # fmt: skip
_CELL_NAMES: Final = re.compile(
    r"bar_?codes?$|(?:^|_)cell(?:_?(?:id|name|bc))?s?$|^(?:obs_names|index|_index|cb)$", re.I
)
# Ids of FlyBase, Ensembl and others are mostly digits. Other ids have a colon, or are systematic names of yeasts
# (YAL001C, SPAC1002.09c), worms (C17D12.1) and bacteria (b0001, Rv0001c).
_OTHER_ID: Final = re.compile(
    r"\d+|[A-Za-z]+:\d+|Y[A-P][LR]\d{3}[WC](?:-[A-Z])?|\w{3,}\.\d+[a-z]?|[A-Za-z]{1,3}_?\d{4}[a-z]?"
)
_MANY_DIGITS, _SHARE_OF_DIGITS = 5, 0.4
_MOST: Final = 0.9
_DIFFERENT: Final = 0.1  # minimum share of different symbols; several transcripts may share one
_LONGEST: Final = 1000  # characters
_MISSING: Final = frozenset(("nan", "None", "NA", "<NA>", "null", "NULL", "-", "."))


def require_short_names(adata: AnnData, name: str) -> None:
    """Raise an `InputError` if a cell or gene name is too long, because long names slow down every check."""
    for what, index in (("cell", adata.obs_names), ("gene", adata.var_names)):
        longest = max(map(str, index), key=len, default="")
        if len(longest) > _LONGEST:
            msg = (
                f"A {what} of {name} has a name of {len(longest):,} characters, '{in_one_line(longest, most=50)}'. "
                f"Give names of at most {_LONGEST:,}."
            )
            raise InputError(msg)


def name_cells(adata: AnnData) -> list[str]:
    """Name cells by their barcodes if their names are row numbers, in place; returns a note."""
    if not is_row_numbers(adata.obs_names):
        return []
    complete = [
        label
        for label in identifiers(adata.obs)
        if label.column is not None and all(label.texts) and len(set(label.texts)) == adata.n_obs
    ]
    chosen = [label for label in complete if "barcode" in label.kind]
    chosen += [label for label in complete if _CELL_NAMES.search(str(label.column))]
    if not chosen:
        return []
    adata.obs_names = pd.Index(chosen[0].texts)
    return [f"Cells were named by row numbers; they now have the names in '{chosen[0].column}'."]


def name_genes(adata: AnnData, gene_names: str = "auto") -> list[str]:
    """Name genes by a column of ``var``, in place; matrices and ``raw`` are unchanged.

    A choice other than ``"auto"`` is stored in ``uns``, and ``"auto"`` follows it the next time.

    Parameters
    ----------
    gene_names
        ``"auto"`` uses a column of symbols if the names are ids or row numbers; ``"index"`` keeps the names; or a column.
        Genes without a value there keep their names. Replaced ids are kept in a column.

    Returns
    -------
    A note if names changed.

    Raises
    ------
    InputError
        There is no such column.
    """
    if gene_names == "auto":
        chosen = str(adata.uns.get(keys.GENE_NAMES, "auto"))
        gene_names = chosen if chosen in ("auto", *adata.var) else "index"
    else:
        adata.uns[keys.GENE_NAMES] = gene_names
    if gene_names == "index":
        return []
    before = adata.var_names.astype(str)
    column = _best_column(adata.var, before) if gene_names == "auto" else gene_names
    if column is None:
        return []
    if column not in adata.var:
        msg = (
            f"Genes cannot be called by {listed([column])}: there is no such column. Found {listed(gene_name_columns(adata))}. "
            "Choose one of them, or 'index' to keep the names."
        )
        raise InputError(msg)
    numbers = is_row_numbers(before)
    in_a_row = numbers and np.ptp(before.to_numpy(dtype=np.int64)) < len(before)
    others = _column_of_ids(adata.var) if numbers else None
    ids = before if others is None else _filled(adata.var[others], before)
    names = _filled(adata.var[column], ids)
    if make_index_unique(names).equals(before):
        return []
    kind = (
        "row numbers" if in_a_row else "numbers" if numbers else "ids" if _are_ids(before) else "other names"
    )
    note = f"Genes were called by {kind} ('{before[0]}', ...); they now have the names in '{column}'"
    if not in_a_row:  # numbers of the NCBI, or of rows before genes were left out
        note += f", and the {kind} are kept in '{_keep_in_column(adata, before)}'"
    without = 0 if column == others else int((names == ids).sum())
    adata.var_names = names
    return [f"{note}; {number(without, 'gene')} without one are called by id." if without else f"{note}."]


def gene_name_columns(adata: AnnData) -> list[str]:
    """Columns of ``var`` that could name the genes."""
    return [str(name) for name in name_columns(adata.var)]


def make_names_unique(adata: AnnData) -> list[str]:
    """Make cell and gene names unique in place with anndata's suffixes; returns a note for each that changed."""
    notes = []
    for what, index, mend in (
        ("cell", adata.obs_names, adata.obs_names_make_unique),
        ("gene", adata.var_names, adata.var_names_make_unique),
    ):
        repeated = index[index.duplicated()].unique()
        if len(repeated):
            shown = listed(repeated[:3]) + (", ..." if len(repeated) > 3 else "")
            notes.append(
                f"Duplicate {what} names ({len(repeated)}: {shown}) were made unique by adding -1, -2, ..."
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mend()
    return notes


def _best_column(var: pd.DataFrame, names: pd.Index) -> str | None:
    """The column of symbols if the names are ids; for row numbers without symbols, a column of ids."""
    if not _are_ids(names):
        return None
    by_name: dict[str, str] = {}
    for column in var.columns[::-1]:
        if is_textual(var[column]):
            # a concatenation names it gene_name-0
            by_name[re.sub(r"-\d+$|[\W_]", "", str(column)).lower()] = column
    known = [by_name[name] for name in _SYMBOLS if name in by_name]
    for word in ("symbol", "name"):
        known += [column for name, column in by_name.items() if word in name and column not in known]
    for column in known:
        named = _named(var[column])
        telling = len(named) >= len(var) / 2 and named.nunique() > _DIFFERENT * len(named)
        described = telling and named.str.contains(" ").mean() > _MOST  # full names
        if telling and not described and not _are_ids(named, most=0.5):
            return column
    return _column_of_ids(var) if is_row_numbers(names) else None


def _column_of_ids(var: pd.DataFrame) -> str | None:
    for column in name_columns(var):
        named = _named(var[column])
        if len(named) == len(var) and _are_ids(named) and not is_row_numbers(named):
            return column
    return None


def _are_ids(names: pd.Index, *, most: float = _MOST) -> bool:
    """Whether most names are numbers or database ids of any species."""
    plain = name_normalizer(names)
    return sum(_is_id(plain(name)) or _is_id(name) for name in names) > most * len(names)


def _is_id(name: str) -> bool:
    n_digits = sum(map(str.isdigit, name))
    most_digits = n_digits >= _MANY_DIGITS and n_digits >= _SHARE_OF_DIGITS * len(name)
    return most_digits or _OTHER_ID.fullmatch(name) is not None


def _named(column: pd.Series) -> pd.Index:
    texts = as_text(column)
    return pd.Index(texts[texts.notna() & ~texts.isin(_MISSING)])


def _filled(column: pd.Series, names: pd.Index) -> pd.Index:
    texts = as_text(column)
    known = (texts.notna() & ~texts.isin(_MISSING)).to_numpy()
    return pd.Index(np.where(known, texts.to_numpy(), names.to_numpy()))


def _keep_in_column(adata: AnnData, names: pd.Index) -> str:
    """The column that keeps replaced gene names, created if missing."""
    for column in adata.var:
        if as_text(adata.var[column]).tolist() == names.tolist():
            return str(column)
    column, n = GENE_IDS, 1
    while column in adata.var:
        column, n = f"{GENE_IDS}_{n}", n + 1
    adata.var[column] = names.to_numpy()
    return column
