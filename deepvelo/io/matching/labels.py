"""What tells cells apart in a table: names, or columns of barcodes or names; recognised by their content."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import pandas as pd

from deepvelo.contents.columns import as_text, is_textual

T = TypeVar("T")
Kind = Literal["barcode", "short barcode", "name", "running number"]

_BARCODE = re.compile(r"[ACGT]{12,}")
_BARCODE_WORD = re.compile(r"([ACGT]{12,})x?", re.IGNORECASE)
_SHORT_WORD = re.compile(r"([ACGT]{6,11})x?", re.IGNORECASE)
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_NUMBERED = re.compile(r"(.+)[-._](\d+)")  # as anndata, R's make.unique and Seurat tell repeated names apart
_SUFFIX = re.compile(r"(.+?)_(\d{1,3})")  # of a normalised name
_RUNNING = re.compile(r"(.*?)(?<!\d)(\d++)", re.DOTALL)
_WELL = re.compile(r"(?:.*_)?[a-p]\d{1,2}")
# Possessive, and of the end of a name alone: names may be long.
_ALIGNED_FILE = re.compile(
    r"(?:[._-]?+(?:Aligned|sortedByCoord|out|(?:un)?+sorted|unique|dedup\w*+|rmdup|mark(?:ed)?+dup\w*+))*+\.bam$"
)
_END = 100  # characters; the search reads no more than these
_MAX_DIGITS = 18  # of a number that counts something

_MOSTLY, _NEARLY_ALL = 0.5, 0.95
# A suffix is of anndata's making where so many of its cells have their twin; the others' twins were taken out.
_MIN_TWINS = 0.2
# A column of fewer different barcodes than this share of the cells names clones or samples, not cells.
_MIN_DIFFERENT = {"barcode": 0.05, "short barcode": 0.05, "name": 0.5, "running number": 0.5}
# A column of fewer names than this may as well sort cells into groups.
_MIN_NAMES = 20
# Row numbers do not exceed the number of rows by more than filtering explains; ids of cells do.
_MAX_OVER_ROWS, _MAX_OVER_NAMES = 100, 10
# More groups than this share of the cells, or than this number, tell no samples.
_MAX_SAMPLE_SHARE, _MAX_SAMPLES = 1 / 3, 500
# Columns that are compared with those of the other file, if there are so many.
_MAX_LABELS, _MAX_GROUPINGS = 8, 20


_SAMPLE_COLUMN = re.compile(
    r"(samples?|batch|library|lib|plate|lane|donor|patient|mouse|animal|replicate|run|orig|dataset)([ _.]?(ident|ids?|names?))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Labels:
    """One way of naming the cells of one table.

    Parameters
    ----------
    column
        The column of ``obs``; None for the names of the cells.
    kind
        What the labels are made of. Running numbers may follow a word, as in ``cell_12``.
    texts
        As they stand, shape ``(n_cells,)``.
    core
        The part that names the cell within its sample, shape ``(n_cells,)``; ``""`` for none.
    tags
        The other words, which may tell the sample, shape ``(n_cells,)``.
    """

    column: str | None
    kind: Kind
    texts: np.ndarray
    core: np.ndarray
    tags: np.ndarray

    @property
    def description(self) -> str:
        """In words, for a sentence."""
        what = "barcodes" if "barcode" in self.kind else "names"
        if self.column is None:
            return "the barcodes in the cell names" if what == "barcodes" else "the cell names"
        return f"the {what} in column '{self.column}'"


@dataclass(frozen=True)
class Grouping:
    """What may tell the sample of a cell.

    Parameters
    ----------
    description
        In words, for a sentence.
    values
        Text, None for unknown, shape ``(n_cells,)``.
    labels
        The labels whose words they are; None for a column.
    called_sample
        Whether the column's name says that it tells samples.
    """

    description: str
    values: np.ndarray
    labels: Labels | None = None
    called_sample: bool = False

    @cached_property
    def coded(self) -> tuple[np.ndarray, np.ndarray]:
        """The value of each cell as its place among the different values, -1 for unknown; and these."""
        codes, names = pd.factorize(self.values)
        return codes, names

    @property
    def n_values(self) -> int:
        """How many different values there are; unknown is one of them."""
        codes, names = self.coded
        return len(names) + int((codes < 0).any())


def identifiers(obs: pd.DataFrame) -> list[Labels]:
    """All labels of a table's cells, the names first; row numbers are left out."""
    found = [one for one in _labels(None, obs.index) if _identifies_cells(one)]
    for column, values in obs.items():
        found += _labels_of(str(column), values)
    different: dict[tuple[str, ...], Labels] = {}
    for one in found:
        core = tuple(one.core)
        if core in different:  # the same barcodes again, perhaps with other words
            both = zip(different[core].tags, one.tags, strict=True)
            tags = np.array([" ".join(dict.fromkeys(pair)).strip() for pair in both], dtype=object)
            one = replace(different[core], tags=tags)
        different[core] = one
    return _best(
        list(different.values()),
        _MAX_LABELS,
        rank=lambda one: (one.column is not None, "barcode" not in one.kind),
    )


def groupings(obs: pd.DataFrame, labels: Sequence[Labels]) -> list[Grouping]:
    """Whatever may tell samples: the words around barcodes, and columns with few values."""
    most = min(_MAX_SAMPLES, max(2, int(len(obs) * _MAX_SAMPLE_SHARE)))
    found = []
    for one in labels:
        # Words that differ from cell to cell tell no samples.
        tags = one.tags if len(set(one.tags)) <= most else np.full(len(obs), "", dtype=object)
        found.append(Grouping(f"the words in {one.description}", tags, one))
    for column, values in obs.items():
        called_sample = _SAMPLE_COLUMN.fullmatch(str(column)) is not None
        if (called_sample or values.dtype.kind != "f") and 1 <= _n_different(values) <= most:
            texts = as_text(values).to_numpy(dtype=object)
            found.append(Grouping(f"column '{column}'", texts, called_sample=called_sample))
    return _best(found, _MAX_GROUPINGS, rank=lambda one: (one.labels is None, not one.called_sample))


def _best(found: list[T], most: int, *, rank: Callable[[T], tuple[bool, ...]]) -> list[T]:
    """The best of too many, in their order: each is compared with all of the other file."""
    if len(found) <= most:
        return found
    chosen = sorted(range(len(found)), key=lambda n: rank(found[n]))[:most]
    return [found[n] for n in sorted(chosen)]


def words_of(value: str | None) -> frozenset[str]:
    """The words of a sample's name; mere numbers are none, because other files count otherwise."""
    words = _SEPARATORS.split(str(value or "").lower())
    return frozenset(word for word in words if word and not word.isdigit())


def cell_columns(obs: pd.DataFrame) -> list[str]:
    """The columns that hold barcodes or names of cells."""
    return list(dict.fromkeys(str(name) for name, values in obs.items() if _labels_of(str(name), values)))


def are_running_numbers(names: Sequence[str]) -> bool:
    """Whether names are numbers, or numbers behind a word, that a program may have given."""
    return is_row_numbers(names) or _is_running([str(name) for name in names])


def is_row_numbers(names: Sequence[str]) -> bool:
    """Whether names are numbers hardly larger than there are rows: they say nothing about the cell."""
    if not len(names) or not all(str(name).isdecimal() and len(str(name)) <= _MAX_DIGITS for name in names):
        return False
    return max(int(name) for name in names) < _MAX_OVER_ROWS * len(names)


def _labels_of(column: str, values: pd.Series) -> list[Labels]:
    texts = _texts(values)
    return [] if texts is None else [one for one in _labels(column, texts) if _identifies_cells(one)]


def _texts(values: pd.Series) -> list[str] | None:
    """A column of text whose values differ enough to name cells."""
    if _n_different(values) < max(1, min(_MIN_DIFFERENT.values()) * len(values)) or not is_textual(values):
        return None
    return [text or "" for text in as_text(values)]


def _n_different(values: pd.Series) -> int:
    try:
        return int(values.nunique())
    except TypeError:  # lists and the like
        return 0


def _labels(column: str | None, given_texts: Sequence[str]) -> list[Labels]:
    """The labels in a column; names behind a colon are also read without what stands before it."""
    texts = np.array([str(text) for text in given_texts], dtype=object)
    if is_row_numbers([text for text in texts if text]):
        return []
    given = [text for text in texts if text]
    n_barcodes = sum(bool(_codes(text, _BARCODE_WORD)[0]) for text in given)
    n_short = sum(bool(_codes(text, _SHORT_WORD)[0]) for text in given)
    if n_barcodes >= max(1, _MOSTLY * len(given)):
        parsed = [_codes(text, _BARCODE_WORD) for text in texts]
        return [_make_labels("barcode", column, texts, parsed)]
    if n_short >= max(1, _NEARLY_ALL * len(given)):
        parsed = [_codes(text, _SHORT_WORD) for text in texts]
        return [_make_labels("short barcode", column, texts, parsed)]
    bare = [text[:-_END] + _ALIGNED_FILE.sub("", text[-_END:]) for text in texts]
    kind: Kind = "running number" if _is_running(bare) else "name"
    parsed = [(_normal(x), _normal(x).rstrip("0123456789").strip("_")) for x in bare]
    found = [_make_labels(kind, column, texts, _names(bare) if kind == "name" else parsed)]
    behind = [text.rpartition(":") for text in bare]
    if kind == "name" and sum(bool(colon) for _, colon, _ in behind) >= max(1, _NEARLY_ALL * len(given)):
        parsed = _names([name for _, _, name in behind])
        parsed = [
            (core, " ".join([_normal(before), tag]).strip())
            for (core, tag), (before, _, _) in zip(parsed, behind, strict=True)
        ]
        found.append(_make_labels(kind, column, texts, parsed))
    return found


def _make_labels(kind: Kind, column: str | None, texts: np.ndarray, parsed: list[tuple[str, str]]) -> Labels:
    core = np.array([core for core, _ in parsed], dtype=object)
    tags = np.array([tag for _, tag in parsed], dtype=object)
    _undo_made_unique(texts, core, tags)
    return Labels(column, kind, texts, core, tags)


def _codes(text: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    """The barcodes of a name, together, and its other words in order."""
    codes, tags = [], []
    for word in _SEPARATORS.split(text):
        if whole := pattern.fullmatch(word):
            codes.append(whole[1].upper())
            continue
        if pattern is _BARCODE_WORD and (runs := _BARCODE.findall(word)):
            codes += runs
            word = _BARCODE.sub("", word.removesuffix("x"))
        if word:
            tags.append(word.lower())
    return "".join(codes), " ".join(tags)


def _names(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Names without barcodes, in one spelling; a number at the end that few others have is no part of the name."""
    names = [_normal(text) for text in texts]
    suffixes = [_SUFFIX.fullmatch(name) for name in names]
    different = {found[2] for found in suffixes if found}
    if sum(map(bool, suffixes)) < _NEARLY_ALL * len(names) or len(different) > max(1, len(names) / 10):
        return [(name, "") for name in names]
    return [
        (found[1], found[2]) if found else (name, "") for found, name in zip(suffixes, names, strict=True)
    ]


def _normal(text: str) -> str:
    return _SEPARATORS.sub("_", text).strip("_").lower()


def _undo_made_unique(texts: np.ndarray, core: np.ndarray, tags: np.ndarray) -> None:
    """Give ``X-1`` beside ``X`` the words of ``X``, in place: which of both got the number is chance.

    A suffix that most cells bear without such a twin is the sample's own, and stays.
    """
    position = {text: i for i, text in enumerate(texts)}
    twin = np.full(len(texts), -1)
    for i, text in enumerate(texts):
        if found := _NUMBERED.fullmatch(text):
            twin[i] = position.get(found[1], -1)
    if not (twin >= 0).any():
        return
    suffix = [found[2] if (found := _NUMBERED.fullmatch(text)) else "" for text in texts]
    has_twin = pd.Series(twin >= 0).groupby([tags, suffix]).transform("mean").to_numpy() >= _MIN_TWINS
    repeated = np.flatnonzero((twin >= 0) & has_twin)
    core[repeated], tags[repeated] = core[twin[repeated]], tags[twin[repeated]]


def is_gapless(texts: Sequence[str]) -> bool:
    """Whether names that count up do so without a gap."""
    spans = _spans(texts)
    if spans is None:
        return False
    gapless = (spans["max"] - spans["min"] + 1 == spans["size"]) & (spans["min"] <= 1)
    return bool(spans["size"][gapless].sum() >= _NEARLY_ALL * len(texts))


def _is_running(texts: Sequence[str]) -> bool:
    """Whether names count up behind a word, as in ``cell_1``, ``cell_2``: a program may have made them."""
    spans = _spans(texts)
    if spans is None or all(_WELL.fullmatch(_normal(text)) for text in texts):
        return False
    few_words = len(spans) <= max(1, len(texts) / 3)
    return bool(few_words and spans["max"].sum() <= _MAX_OVER_NAMES * len(texts))


def _spans(texts: Sequence[str]) -> pd.DataFrame | None:
    """By the word before the number: the least and the largest number, and how many; None where a name has none."""
    parts = [_RUNNING.fullmatch(text) for text in texts]
    numbered = [(found[1], int(found[2])) for found in parts if found and len(found[2]) <= _MAX_DIGITS]
    if len(numbered) < len(texts):
        return None
    table = pd.DataFrame(numbered, columns=["word", "number"])
    return table.groupby("word")["number"].agg(["min", "max", "size"])


def _identifies_cells(labels: Labels) -> bool:
    n_different = len(set(labels.core) - {""})
    if labels.kind == "name" and labels.column is not None and n_different < _MIN_NAMES:
        return False
    return n_different >= max(1, _MIN_DIFFERENT[labels.kind] * len(labels.core))
