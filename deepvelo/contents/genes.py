"""Match genes by symbols, ids, versions, species prefixes, ignoring case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from deepvelo.contents.columns import as_text, is_textual

# Ids of Ensembl and RefSeq with a version. The number of a clone name (AC245140.2) is part of the name.
_VERSION: Final = re.compile(r"([A-Za-z]{2,}\d{7,}|[NX][MR]_\d+)\.\d+")
_ANY_VERSION: Final = re.compile(r"(.+)\.\d+")
# Prefixes of genes aligned to the genomes of several species.
_GENOME: Final = re.compile(
    r"(?:GRC[a-z]+\d+|(?:hg|mm|rn|dm|ce|danRer|galGal|susScr|sacCer)\d+|CHM13|T2T)(?:\.\w+?)?[_\-:|]+"
)
_PREFIX: Final = re.compile(r"([A-Za-z][A-Za-z0-9.]*[_\-:|]+)(?=[A-Za-z])")
# A symbol with the id that makes it unique: ENSG00000000003_TSPAN6, TSPAN6|ENSG00000000003.15, TSPAN6 (ENSG00000000003).
_ENSEMBL: Final = r"ENS[A-Z]*G\d{11}(?:\.\d+)?"
_BETWEEN: Final = r"[\s|_:;,(-]"
# Possessive, because names may be long.
_WITH_ID: Final = re.compile(
    rf"{_ENSEMBL}{_BETWEEN}++(.+)|(.+?)(?<!{_BETWEEN}){_BETWEEN}++{_ENSEMBL}\)?", re.DOTALL
)
_MIN_SHARED: Final = 0.9  # of all genes: an affix that this many share is not part of the names
_MANY: Final = 0.05  # of all genes: the prefix of a species
# Columns whose integers are gene ids and not positions or lengths.
_ID_COLUMN: Final = re.compile(r"entrez|ncbi|gene_?ids?$", re.IGNORECASE)
_MOSTLY_DISTINCT: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class GeneMatch:
    """Genes of a list that the data have, spelled as in the data, and the missing ones, spelled as in the list."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the list that the data have, 0 to 1; NaN for an empty list."""
        n_genes = len(self.matched) + len(self.missing)
        return len(self.matched) / n_genes if n_genes else float("nan")


class GeneIndex:
    """Finds genes of the data by any of their names.

    The exact spelling takes precedence: in data of human and mouse cells, ``ACTB`` finds ``ACTB`` and not ``Actb``. Then
    follow aliases (ids), names without version (``ENSG00000000003.15``) or species prefix (``GRCh38_ACTB``), and finally
    all of these ignoring case, so that human ``TMSB10`` finds mouse ``Tmsb10``.

    Parameters
    ----------
    genes
        Gene names of the data.
    aliases
        Gene by further name, see `gene_aliases`.
    """

    def __init__(self, genes: Iterable[str], *, aliases: Mapping[str, str] | None = None) -> None:
        self.genes = tuple(dict.fromkeys(genes))
        names = {gene: gene for gene in self.genes}
        names |= {
            alias: gene for alias, gene in (aliases or {}).items() if gene in names and alias not in names
        }
        plain = name_normalizer(names)
        self._exact = dict(names)
        for name, gene in names.items():
            self._exact.setdefault(plain(name), gene)
        self._found: dict[str, str | None] = {}  # lists repeat their genes
        self._folded: dict[str, str] = {}
        for name, gene in self._exact.items():
            self._folded.setdefault(name.casefold(), gene)

    def find(self, gene: str) -> str | None:
        """The gene's name in the data; None if missing."""
        if gene not in self._found:
            self._found[gene] = self._search(gene)
        return self._found[gene]

    def _search(self, gene: str) -> str | None:
        plain = _plain(gene)
        for names, name in (
            (self._exact, gene),
            (self._exact, plain),
            (self._folded, gene.casefold()),
            (self._folded, plain.casefold()),
        ):
            if name in names:
                return names[name]
        return None

    def match(self, genes: Iterable[str]) -> GeneMatch:
        """Match a list; each gene counts once, in the order of the list."""
        matched: dict[str, None] = {}
        missing: dict[str, str] = {}
        for gene in genes:
            found = self.find(gene)
            if found is None:
                missing.setdefault(gene.casefold(), gene)
            else:
                matched[found] = None
        return GeneMatch(matched=tuple(matched), missing=tuple(missing.values()))

    def spelled(self, genes: Iterable[str]) -> tuple[str, ...]:
        """The list with the spelling of the data; missing genes are unchanged."""
        return tuple(dict.fromkeys(self.find(gene) or gene for gene in genes))


def gene_aliases(var: pd.DataFrame) -> dict[str, str]:
    """Gene by further name, from the columns of ``var``.

    Columns with names are text that differs between genes, or integers in columns named like ids (``entrez_id``). A name
    of several genes refers to the first.
    """
    genes = var.index.astype(str)
    aliases: dict[str, str] = {}
    for column in _names_of(var):
        for alias, gene in zip(column, genes, strict=True):
            if alias is not None and alias != gene:
                aliases.setdefault(alias, gene)
    return aliases


def name_columns(var: pd.DataFrame) -> list[str]:
    """Columns of ``var`` with names or ids of genes."""
    return [name for name, _ in _name_columns(var)]


def same_genes(first: pd.DataFrame, second: pd.DataFrame) -> np.ndarray:
    """Match the genes of two objects by any of their names.

    Names in the index match first, then ids and symbols in columns, then names without versions and species prefixes,
    and finally names ignoring case. A name of several genes is not used.

    Parameters
    ----------
    first, second
        The ``var`` of two objects.

    Returns
    -------
    Row of ``first`` for each gene of ``second``, -1 if missing; int ``(n_genes_of_second,)``, each row at most once.
    """
    found = np.full(len(second), -1)
    names = [[pd.Series(var.index.astype(str)), *_names_of(var)] for var in (first, second)]
    plain = [name_normalizer(columns[0]) for columns in names]
    # each level applies only to genes that stricter levels have not matched
    levels: list[tuple[int | None, tuple[Callable[[str], str], ...]]] = [
        (1, (str, str)),
        (None, (str, str)),
        (None, (plain[0], plain[1])),
        (None, (lambda name: plain[0](name).casefold(), lambda name: plain[1](name).casefold())),
    ]
    for n_columns, spell in levels:
        open_rows = [np.setdiff1d(np.arange(len(first)), found), np.flatnonzero(found < 0)]
        if not all(len(rows) for rows in open_rows):
            break
        here, there = (
            _rows_by_name(columns[:n_columns], rows, spelled)
            for columns, rows, spelled in zip(names, open_rows, spell, strict=True)
        )
        pairs = {(here[name], there[name]) for name in here.keys() & there.keys()}
        times = [Counter(pair[side] for pair in pairs) for side in (0, 1)]
        for row, other in pairs:
            if times[0][row] == 1 and times[1][other] == 1:
                found[other] = row
    return found


def name_normalizer(names: Iterable[str]) -> Callable[[str], str]:
    """A function that removes the version, species prefix or id that most of these names have."""
    listed = list(names)
    prefixes = Counter(found[1] for name in listed if (found := _PREFIX.match(name)))
    shared = {prefix for prefix, n in prefixes.items() if n >= max(2, _MANY * len(listed))}
    if sum(prefixes[prefix] for prefix in shared) < _MIN_SHARED * len(listed):
        shared = set()
    symbols = [found[1] or found[2] for name in listed if (found := _WITH_ID.fullmatch(_plain(name)))]
    with_id = len(symbols) > _MIN_SHARED * len(listed) and len(set(symbols)) > _MOSTLY_DISTINCT * len(symbols)
    versioned = sum(1 for name in listed if _ANY_VERSION.fullmatch(name)) > _MIN_SHARED * len(listed)

    def plain(name: str) -> str:
        found = _PREFIX.match(name)
        if found is not None and found[1] in shared:
            name = name[found.end() :]
        name = _beside_id(_plain(name)) if with_id else _plain(name)
        found = _ANY_VERSION.fullmatch(name) if versioned else None
        return name if found is None else found[1]

    return plain


def _beside_id(name: str) -> str:
    """The symbol in a name that combines symbol and id."""
    found = _WITH_ID.fullmatch(name)
    return name if found is None else found[1] or found[2]


def _plain(name: str) -> str:
    """A stripped name without genome prefix and version."""
    name = name.strip()
    found = _GENOME.match(name)
    if found is not None:
        name = name[found.end() :]
    found = _VERSION.fullmatch(name)
    return name if found is None else found[1]


def _names_of(var: pd.DataFrame) -> Iterator[pd.Series]:
    """Columns of ``var`` with names, as text."""
    for _, column in _name_columns(var):
        yield as_text(column).reset_index(drop=True)


def _name_columns(var: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for name, column in var.items():
        numbered = _ID_COLUMN.search(str(name)) is not None and pd.api.types.is_numeric_dtype(column)
        if numbered or is_textual(column):
            n_named = int(column.notna().sum())
            if n_named and column.nunique() > _MOSTLY_DISTINCT * n_named:
                yield str(name), column


def _rows_by_name(
    columns: Iterable[pd.Series], rows: np.ndarray, spelled: Callable[[str], str]
) -> dict[str, int]:
    """Row by name, without names of several rows."""
    found: dict[str, int] = {}
    repeated = set()
    for column in columns:
        for row, name in zip(rows.tolist(), column.iloc[rows], strict=True):
            if name is None:
                continue
            if found.setdefault(spelled(name), row) != row:
                repeated.add(spelled(name))
    return {name: row for name, row in found.items() if name not in repeated}
