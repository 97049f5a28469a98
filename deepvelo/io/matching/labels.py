"""Recognise labels of cells in a table: cell names, and columns with barcodes or names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, Literal, TypeVar

import numpy as np
import pandas as pd

from deepvelo.contents.columns import as_text, is_textual

T = TypeVar("T")
Kind = Literal["barcode", "short barcode", "name", "running number"]

_SHORTEST = 12  # bases of a barcode
_BARCODE = re.compile(rf"[ACGT]{{{_SHORTEST},}}")
_BARCODE_WORD = re.compile(r"([ACGT]{12,})x?", re.IGNORECASE)
_SHORT_WORD = re.compile(r"([ACGT]{6,11})x?", re.IGNORECASE)
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_NUMBERED = re.compile(r"(.+)[-._](\d+)")  # suffixes by which anndata, R and Seurat make names unique
_SUFFIX = re.compile(r"(.+?)_(\d{1,3})")  # of a normalised name
_RUNNING = re.compile(r"(.*?)(?<!\d)(\d++)", re.DOTALL)
_WELL = re.compile(r"(?:.*_)?[a-p]\d{1,2}")
# Possessive and only at the end, because names may be long.
_ALIGNED_FILE = re.compile(
    r"(?:[._-]?+(?:Aligned|sortedByCoord|out|(?:un)?+sorted|unique|dedup\w*+|rmdup|mark(?:ed)?+dup\w*+))*+\.bam$"
)
_END = 100  # characters that are searched
_MAX_DIGITS = 18  # of a number that counts something

_MOSTLY, _NEARLY_ALL = 0.5, 0.95
# Kinds of barcodes with the share of names that must have one.
_BARCODE_KINDS: Final[tuple[tuple[Kind, re.Pattern[str], float], ...]] = (
    ("barcode", _BARCODE_WORD, _MOSTLY),
    ("short barcode", _SHORT_WORD, _NEARLY_ALL),
)
_PARSED = 1000  # names from which their kind is decided
# Share of cells with a twin without the suffix from which the suffix was added to make names unique.
_MIN_TWINS = 0.2
# Minimum share of different values; columns with fewer name clones or samples.
_MIN_DIFFERENT = {"barcode": 0.05, "short barcode": 0.05, "name": 0.5, "running number": 0.5}
# Columns with fewer names may be groups.
_MIN_NAMES = 20
# Factor by which row numbers may exceed the number of rows after filtering; cell ids exceed it.
_MAX_OVER_ROWS, _MAX_OVER_NAMES = 100, 10
# Groupings with more groups are not samples.
_MAX_SAMPLE_SHARE, _MAX_SAMPLES = 1 / 3, 500
# Limits on compared columns.
_MAX_LABELS, _MAX_GROUPINGS = 8, 20


_SAMPLE_COLUMN = re.compile(
    r"(samples?|batch|library|lib|plate|lane|donor|patient|mouse|animal|replicate|run|orig|dataset)([ _.]?(ident|ids?|names?))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Labels:
    """One set of labels for the cells of a table.

    Parameters
    ----------
    column
        Column of ``obs``; None for the cell names.
    kind
        Kind of label. Running numbers may follow a word, as in ``cell_12``.
    texts
        Original text, shape ``(n_cells,)``.
    core
        Part that identifies the cell within its sample, shape ``(n_cells,)``; ``""`` for none.
    tags
        Remaining words, which may name the sample, shape ``(n_cells,)``.
    """

    column: str | None
    kind: Kind
    texts: np.ndarray
    core: np.ndarray
    tags: np.ndarray

    @property
    def description(self) -> str:
        """Description for messages."""
        what = "barcodes" if "barcode" in self.kind else "names"
        if self.column is None:
            return "the barcodes in the cell names" if what == "barcodes" else "the cell names"
        return f"the {what} in column '{self.column}'"


@dataclass(frozen=True)
class Grouping:
    """A grouping that may be the sample of the cells.

    Parameters
    ----------
    description
        Description for messages.
    values
        Text, None for unknown, shape ``(n_cells,)``.
    labels
        Labels whose remaining words these are; None for a column.
    called_sample
        Whether the name of the column indicates samples.
    """

    description: str
    values: np.ndarray
    labels: Labels | None = None
    called_sample: bool = False

    @cached_property
    def coded(self) -> tuple[np.ndarray, np.ndarray]:
        """Code of each cell, -1 for unknown, and the different values."""
        codes, names = pd.factorize(self.values)
        return codes, names

    @property
    def n_values(self) -> int:
        """Number of different values, including unknown."""
        codes, names = self.coded
        return len(names) + int((codes < 0).any())


def identifiers(obs: pd.DataFrame) -> list[Labels]:
    """All labels of the cells of a table, cell names first, without row numbers."""
    found = [one for one in _labels(None, obs.index) if _identifies_cells(one)]
    for column, values in obs.items():
        found += _labels_of(str(column), values)
    different: dict[tuple[str, ...], Labels] = {}
    for one in found:
        core = tuple(one.core)
        if core in different:  # same barcodes, perhaps with other words
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
    """Candidate samples: words around barcodes, and columns with few values."""
    most = min(_MAX_SAMPLES, max(2, int(len(obs) * _MAX_SAMPLE_SHARE)))
    found = []
    for one in labels:
        # words that differ between cells are not samples
        tags = one.tags if len(set(one.tags)) <= most else np.full(len(obs), "", dtype=object)
        found.append(Grouping(f"the words in {one.description}", tags, one))
    for column, values in obs.items():
        called_sample = _SAMPLE_COLUMN.fullmatch(str(column)) is not None
        if (called_sample or values.dtype.kind != "f") and 1 <= _n_different(values) <= most:
            texts = as_text(values).to_numpy(dtype=object)
            found.append(Grouping(f"column '{column}'", texts, called_sample=called_sample))
    return _best(found, _MAX_GROUPINGS, rank=lambda one: (one.labels is None, not one.called_sample))


def _best(found: list[T], most: int, *, rank: Callable[[T], tuple[bool, ...]]) -> list[T]:
    """The best ``most`` entries in their order, since each is compared with all of the other file."""
    if len(found) <= most:
        return found
    chosen = sorted(range(len(found)), key=lambda n: rank(found[n]))[:most]
    return [found[n] for n in sorted(chosen)]


def words_of(value: str | None) -> frozenset[str]:
    """The words of a sample name without numbers, which may differ between files."""
    words = _SEPARATORS.split(str(value or "").lower())
    return frozenset(word for word in words if word and not word.isdigit())


def cell_columns(obs: pd.DataFrame) -> list[str]:
    """Columns with barcodes or names of cells."""
    return list(dict.fromkeys(str(name) for name, values in obs.items() if _labels_of(str(name), values)))


def are_running_numbers(names: Sequence[str]) -> bool:
    """Whether names are numbers, or numbers after a word, that a program may have assigned."""
    return is_row_numbers(names) or _is_running([str(name) for name in names])


def is_row_numbers(names: Sequence[str]) -> bool:
    """Whether names are numbers close to the number of rows, which do not identify cells."""
    if not len(names) or not all(str(name).isdecimal() and len(str(name)) <= _MAX_DIGITS for name in names):
        return False
    return max(int(name) for name in names) < _MAX_OVER_ROWS * len(names)


def name_parser(names: Sequence[str]) -> Callable[[str], tuple[str, str]]:
    """How to split cell names into the part that identifies a cell within its sample and the other words.

    Decided by some of the names: by their barcodes if they have any, otherwise the whole name identifies the cell,
    regardless of case and separators.
    """
    some = [str(name) for name in names[:: max(1, len(names) // _PARSED)] if str(name)]
    for _, pattern, share in _BARCODE_KINDS:
        if _share_with_barcodes(some, pattern) >= share:
            return partial(_codes, pattern=pattern)
    return lambda name: (_normal(name), "")


def _share_with_barcodes(texts: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(_codes(text, pattern)[0]) for text in texts) / max(1, len(texts))


def _labels_of(column: str, values: pd.Series) -> list[Labels]:
    texts = _texts(values)
    return [] if texts is None else [one for one in _labels(column, texts) if _identifies_cells(one)]


def _texts(values: pd.Series) -> list[str] | None:
    """The values of a text column that differ enough to be cell names; None otherwise."""
    if _n_different(values) < max(1, min(_MIN_DIFFERENT.values()) * len(values)) or not is_textual(values):
        return None
    return [text or "" for text in as_text(values)]


def _n_different(values: pd.Series) -> int:
    try:
        return int(values.nunique())
    except TypeError:  # lists and the like
        return 0


def _labels(column: str | None, given_texts: Sequence[str]) -> list[Labels]:
    """The labels in a column; names with a colon are also read without the part before it."""
    texts = np.array([str(text) for text in given_texts], dtype=object)
    if is_row_numbers([text for text in texts if text]):
        return []
    given = [text for text in texts if text]
    for kind, pattern, share in _BARCODE_KINDS:
        if _share_with_barcodes(given, pattern) >= share:
            return [_make_labels(kind, column, texts, [_codes(text, pattern) for text in texts])]
    bare = [text[:-_END] + _ALIGNED_FILE.sub("", text[-_END:]) for text in texts]
    kind = "running number" if _is_running(bare) else "name"
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
    """The joined barcodes of a name, and its other words in order."""
    codes, tags = [], []
    for word in _SEPARATORS.split(text):
        if whole := pattern.fullmatch(word):
            codes.append(whole[1].upper())
            continue
        if pattern is _BARCODE_WORD and len(word) >= _SHORTEST and (runs := _BARCODE.findall(word)):
            codes += runs
            word = _BARCODE.sub("", word.removesuffix("x"))
        if word:
            tags.append(word.lower())
    return "".join(codes), " ".join(tags)


def _names(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Normalised names without barcodes; a final number with few different values is split off."""
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
    """Give ``X-1`` the words of its twin ``X``, in place, because the number was added to make names unique.

    A suffix that most cells have without a twin belongs to the sample and is kept.
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
    """Whether running numbers have no gaps."""
    spans = _spans(texts)
    if spans is None:
        return False
    gapless = (spans["max"] - spans["min"] + 1 == spans["size"]) & (spans["min"] <= 1)
    return bool(spans["size"][gapless].sum() >= _NEARLY_ALL * len(texts))


def _is_running(texts: Sequence[str]) -> bool:
    """Whether names are running numbers after a word, such as ``cell_1``, ``cell_2``."""
    spans = _spans(texts)
    if spans is None or all(_WELL.fullmatch(_normal(text)) for text in texts):
        return False
    few_words = len(spans) <= max(1, len(texts) / 3)
    return bool(few_words and spans["max"].sum() <= _MAX_OVER_NAMES * len(texts))


def _spans(texts: Sequence[str]) -> pd.DataFrame | None:
    """Minimum, maximum and count of the numbers by the word before them; None if a name has no number."""
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
