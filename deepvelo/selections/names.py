"""Find cells by names: in a list that a user pasted, and those of one run in another run of the same data."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np
import pandas as pd

from deepvelo.errors import InputError
from deepvelo.io.matching.labels import cell_columns, name_parser
from deepvelo.wording import in_bytes, listed, number

MOST_CHARACTERS: Final = 50_000_000  # of a list: two million names
_N_EXAMPLES = 3
_LINES_TRIED = 200  # decide how a list is laid out
_MOST_COLUMNS = 50
_UNKNOWN, _AMBIGUOUS = -1, -2
_SEPARATORS = re.compile(r"[\s,;()\[\]{}]+")
_HEADER_WORDS = {"barcode", "barcodes", "cell", "cells", "cellid", "id", "index", "name", "names", "x"}
_Layout = tuple[str, int | None]


@dataclass(frozen=True)
class FoundCells:
    """Cells found by their names.

    Parameters
    ----------
    cells
        Whether each cell of the run was found, shape ``(n_cells,)``.
    n_given
        Number of different names in the list.
    unknown
        Names of no cell.
    ambiguous
        Names of several cells: samples share barcodes, and the name does not tell the sample.
    """

    cells: np.ndarray
    n_given: int
    unknown: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)

    @property
    def n_found(self) -> int:
        """Number of names of exactly one cell."""
        return self.n_given - len(self.unknown) - len(self.ambiguous)

    @property
    def report(self) -> str:
        """How many names were found, with examples of the others, in one or more sentences."""
        sentences = [f"{self.n_found:,} of {number(self.n_given, 'name')} found."]
        for names, what in (
            (self.unknown, "not in this run"),
            (self.ambiguous, "shared by several cells"),
        ):
            if names:
                examples = listed(names[:_N_EXAMPLES])
                verb = "is" if len(names) == 1 else "are"
                sentences.append(
                    f"{len(names):,} {verb} {what}{': ' if len(names) <= _N_EXAMPLES else ', for example '}{examples}."
                )
        return " ".join(sentences)


def same_cells(names: Sequence[str], index: pd.Index) -> FoundCells:
    """Find cells of one run in another run of the same data by equal names.

    Parameters
    ----------
    names
        Names of the cells, as a saved selection keeps them.
    index
        Names of the cells of the other run, ``run.obs.index``.

    Examples
    --------
    >>> found = same_cells(["b", "x"], pd.Index(["a", "b"]))
    >>> found.cells.tolist(), found.unknown
    ([False, True], ['x'])
    """
    given = list(dict.fromkeys(names))
    return _found(given, pd.Index(index).get_indexer(given), n_cells=len(index))


def find_cells(text: str, obs: pd.DataFrame) -> FoundCells:
    r"""Find the cells of a list that a user pasted, however it is separated and its names are decorated.

    One name a line, or separated by commas, semicolons, tabs or blanks, in quotes or not; or a table with a column of
    names. The layout that finds most cells is used. A name is found as it is, otherwise by its barcode: prefixes and
    suffixes such as ``-1`` are ignored where they do not tell samples apart. If no name is found, columns of ``obs``
    that hold barcodes or names are searched too.

    Parameters
    ----------
    text
        At most 50 million characters.
    obs
        Annotation of the cells of a run.

    Raises
    ------
    InputError
        The list is empty or too long.

    Examples
    --------
    >>> obs = pd.DataFrame(index=["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCGC-1"])
    >>> found = find_cells("barcode;cluster\nAAACCTGAGAAACCGC;3", obs)
    >>> found.cells.tolist(), found.report
    ([False, True], '1 of 1 name found.')
    """
    if len(text) > MOST_CHARACTERS:
        msg = f"The list of cells is larger than {in_bytes(MOST_CHARACTERS)}. Give the names of the cells alone."
        raise InputError(msg)
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    lines = [line for line in lines if line]
    found = _find_by(_Names(obs.index), lines)
    if not found.cells.any():
        columns = (_find_by(_Names(pd.Index(obs[column])), lines) for column in cell_columns(obs))
        found = max(columns, key=lambda other: other.n_found, default=found)
    return found


def _find_by(names: _Names, lines: list[str]) -> FoundCells:
    given = _given(lines, names.rows)
    return _found(given, names.rows(given), n_cells=len(names))


def _found(given: list[str], rows: np.ndarray, *, n_cells: int) -> FoundCells:
    cells = np.zeros(n_cells, dtype=bool)
    cells[rows[rows >= 0]] = True
    unknown, ambiguous = ([given[i] for i in np.flatnonzero(rows == code)] for code in (_UNKNOWN, _AMBIGUOUS))
    return FoundCells(cells, len(given), unknown, ambiguous)


def _given(lines: list[str], rows: Callable[[list[str]], np.ndarray]) -> list[str]:
    """The different names in a list, read in the layout that finds most of them and has fewest others."""
    start = lines[:_LINES_TRIED]
    tried = {}
    for layout in _layouts(start):
        given = list(dict.fromkeys(_read(start, layout)))
        if given:
            found = rows(given)
            header = bool(found[0] == _UNKNOWN) and len(given) > 1 and _is_header(given[0])
            tried[layout, header] = (np.count_nonzero(found >= 0), header - np.count_nonzero(found < 0))
    if not tried:
        msg = "The list has no names of cells. Give the barcodes of cells, one a line."
        raise InputError(msg)
    layout, header = max(tried, key=tried.__getitem__)
    return list(dict.fromkeys(_read(lines, layout)))[header:]


def _is_header(name: str) -> bool:
    words = re.split(r"[\W_]+", name.lower())
    return not _HEADER_WORDS.isdisjoint(words) and not any(map(str.isdigit, name))


def _layouts(lines: list[str]) -> Iterator[_Layout]:
    """Ways to read a list: a separator, ``""`` for whole lines and ``" "`` for any; and a column, None for all."""
    yield "", None
    for separator in ",;\t ":
        n_columns = max((len(_split(line, separator)) for line in lines), default=0)
        if n_columns > 1:
            yield separator, None
        if 1 < n_columns <= _MOST_COLUMNS:  # more are a list in one line
            yield from ((separator, column) for column in range(n_columns))


def _read(lines: list[str], layout: _Layout) -> Iterator[str]:
    separator, column = layout
    for line in lines:
        parts = _split(line, separator)
        for part in parts if column is None else islice(parts, column, column + 1):
            if name := part.strip("\"'`,; \t"):
                yield name


def _split(line: str, separator: str) -> list[str]:
    if not separator:
        return [line]
    if separator == " ":
        return _SEPARATORS.split(line)
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a part of more than 131,072 characters
        return line.split(separator)


class _Names:
    """Names of the cells of a run, to be looked up.

    Names that several cells share, as in a column of barcodes, are found only with words that tell the cells apart.
    """

    def __init__(self, names: pd.Index) -> None:
        self._names = names.astype(str)
        self._is_unique = ~self._names.duplicated(keep=False)
        self._row = np.flatnonzero(self._is_unique)
        self._unique = self._names[self._is_unique]
        self._parsed: _Parsed | None = None

    def __len__(self) -> int:
        return len(self._names)

    def rows(self, given: list[str]) -> np.ndarray:
        """Row of each given name, shape ``(n_given,)``; negative if it is unknown or ambiguous."""
        found = self._unique.get_indexer(given) if given else np.zeros(0, dtype=int)
        rows = np.where(found >= 0, self._row[found] if len(self._row) else _UNKNOWN, _UNKNOWN)
        others = np.flatnonzero(rows < 0)
        if len(others):
            self._parsed = self._parsed or _Parsed(self._names)
            rows[others] = [self._parsed.row(given[i]) for i in others]
        return rows


class _Parsed:
    """Names split into the part that identifies a cell within its sample and the words beside it."""

    def __init__(self, names: pd.Index) -> None:
        self._parse = name_parser(names)
        self._rows: dict[str, list[int]] = {}
        self._words: list[frozenset[str]] = []
        word_sets: dict[str, frozenset[str]] = {}
        for row, name in enumerate(names):
            core, tags = self._parse(name)
            self._rows.setdefault(core, []).append(row)
            self._words.append(word_sets.setdefault(tags, frozenset(tags.split())))
        different = list(word_sets.values())
        self._of_all = frozenset.intersection(*different) if different else frozenset()
        # words that tell samples apart
        self._telling = frozenset().union(*different) - self._of_all

    def row(self, name: str) -> int:
        """Row of the only cell with the barcode of a name whose other words do not contradict."""
        core, tags = self._parse(name)
        fitting = (
            [row for row in self._rows.get(core, ()) if self._fits(set(tags.split()), row)] if core else []
        )
        return fitting[0] if len(fitting) == 1 else _AMBIGUOUS if fitting else _UNKNOWN

    def _fits(self, words: set[str], row: int) -> bool:
        if known := words & self._telling:
            return known <= self._words[row]
        # where samples have names, another name is another sample; a number such as -1 is not a name
        return not self._telling or all(word.isdigit() for word in words - self._of_all)
