"""Match cells by every pair of labels of the two files; the matches that fit must agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from deepvelo.contents.columns import as_text, is_textual
from deepvelo.errors import InputError
from deepvelo.io.matching.evidence import MIN_RATE, Verdict, verdict
from deepvelo.io.matching.labels import (
    Grouping,
    Labels,
    groupings,
    identifiers,
    is_gapless,
    words_of,
)
from deepvelo.io.matching.pairs import CellPairs, pairs_of

# Share of cells on which two matches may contradict each other.
_MAX_DISAGREEMENT = 0.01
# Share of cells with a repeated barcode from which samples are assumed to share barcodes, as plates do; lower for short
# barcodes and plain names.
_MANY_REPEATED, _MANY_REPEATED_OF_FEW = 0.3, 0.05
# Accepted share of wrong matches.
_MAX_WRONG = 0.001
# Share of equal values in a text column that both files have; clusters may have been renamed.
_MIN_AGREEMENT = 0.5
# Share of cells that may be missing in the counts.
_MAX_MISSING = 0.3
# Share of values that two unrelated columns may have in common by chance.
_MIN_FOUND = 0.05


@dataclass(frozen=True)
class Matching:
    """Matched cells of two files.

    Parameters
    ----------
    partner
        Position of each processed cell among the counts, -1 for none; each position at most once.
    found
        Whether the barcode or name of each cell occurs among the counts.
    rule
        How the cells were matched, as a sentence; ``""`` if nothing matches.
    labels
        The compared labels of the processed cells and of the counts; None if nothing matches.
    samples
        Sample of each processed cell, None for unknown; None if there is no information on samples.
    """

    partner: np.ndarray
    found: np.ndarray
    rule: str = ""
    labels: tuple[Labels, Labels] | None = None
    samples: np.ndarray | None = None

    @property
    def rate(self) -> float:
        """Share of the processed cells with a partner."""
        return float((self.partner >= 0).mean()) if len(self.partner) else 0.0


def match_cells(processed: pd.DataFrame, counts: pd.DataFrame) -> Matching:
    """Match cells by the labels and columns of both tables.

    Parameters
    ----------
    processed, counts
        ``obs`` of the two objects.

    Raises
    ------
    InputError
        Two ways of matching contradict each other.
    """
    ids = identifiers(processed), identifiers(counts)
    groups = groupings(processed, ids[0]), groupings(counts, ids[1])
    candidates = [_match_by(a, b, *groups) for a in ids[0] for b in ids[1]]
    candidates = [
        candidate
        for candidate in candidates
        if not (
            _uses_running_numbers(candidate) and _may_be_renumbered(candidate, candidates, processed, counts)
        )
    ]
    if not candidates:
        return Matching(np.full(len(processed), -1), np.zeros(len(processed), dtype=bool))
    # among equal candidates, cell names come first
    best = max(
        candidates,
        key=lambda candidate: (
            candidate.rate >= MIN_RATE,
            not _uses_running_numbers(candidate),
            candidate.rate,
            candidate.found.mean(),
        ),
    )
    partner = best.partner.copy()
    for other in candidates:
        differ = _contradictions(best, other)
        if _uses_running_numbers(other) or other.found.mean() < MIN_RATE:
            continue
        if differ.sum() > _MAX_DISAGREEMENT * len(partner):
            raise InputError(_disagreement_message(best, other, int(differ.sum())))
        partner[differ] = -1
    return replace(best, partner=partner)


def _uses_running_numbers(candidate: Matching) -> bool:
    return any(one.kind == "running number" for one in candidate.labels or ())


def _may_be_renumbered(
    candidate: Matching, candidates: Sequence[Matching], processed: pd.DataFrame, counts: pd.DataFrame
) -> bool:
    """Whether running numbers may have been reassigned after filtering.

    Gaps show that numbers were kept, unless barcodes or columns of both files contradict this.
    """
    if candidate.labels is None or is_gapless(list(candidate.labels[0].texts)):
        return True
    if any(
        _contradictions(candidate, other).any()
        for other in candidates
        if not _uses_running_numbers(other) and other.found.mean() >= _MIN_FOUND
    ):
        return True
    rows = np.flatnonzero(candidate.partner >= 0)
    if not len(rows):
        return True
    for column in processed.columns.intersection(counts.columns):
        if is_textual(processed[column]) and is_textual(counts[column]):
            left = as_text(processed[column]).to_numpy()[rows]
            right = as_text(counts[column]).to_numpy()[candidate.partner[rows]]
            if (left != right).mean() > 1 - _MIN_AGREEMENT:
                return True
    return False


def _contradictions(candidate: Matching, other: Matching) -> np.ndarray:
    """Processed cells whose partner has another barcode or name according to another match."""
    wrong = np.zeros(len(candidate.partner), dtype=bool)
    if other.labels is not None:
        a, b = other.labels
        rows = np.flatnonzero(candidate.partner >= 0)
        left, right = a.core[rows], b.core[candidate.partner[rows]]
        wrong[rows] = (left != right) & (left != "") & (right != "")
    return wrong


def _match_by(a: Labels, b: Labels, processed: list[Grouping], counts: list[Grouping]) -> Matching:
    """Match cells by one label of each file."""
    partner, found = np.full(len(a.core), -1), pd.Series(a.core).isin(b.core[b.core != ""]).to_numpy()
    if found.mean() < _MIN_FOUND:  # skip the expensive part for most candidates
        return Matching(partner, found, labels=(a, b))
    pairs = pairs_of(a, b)
    repeated = max(_share_repeated(a), _share_repeated(b))
    few_barcodes = repeated > (_MANY_REPEATED if a.kind == "barcode" else _MANY_REPEATED_OF_FEW)
    verdicts: list[tuple[Grouping, Grouping, Verdict]] = []
    for left in processed:
        for right in counts:
            own_words = left.labels is a and right.labels is b
            one = verdict(pairs, left, right, own_words=own_words, few_barcodes=few_barcodes)
            if one is not None:
                verdicts.append((left, right, one))
    decides = np.zeros(len(verdicts), dtype=bool)  # verdicts that decide about a pair

    i, j = pairs.unique
    against, decisive = _evaluate(pairs.unique, verdicts, decides)
    undecided = ~against & ~decisive
    # barcodes of a sample without counts occur among the counts by chance
    undecided &= (pd.Series(found).groupby(a.tags).transform("mean") >= MIN_RATE).to_numpy()[i]
    several = any(one.called_sample and one.n_values > 1 for one in (*processed, *counts))
    if (not several and _of_one_sample(a, b)) or (
        not few_barcodes and _expected_wrong(a, i[undecided], found, repeated) <= _MAX_WRONG
    ):
        decisive |= undecided
    chosen = ~against & decisive
    partner[i[chosen]] = j[chosen]
    for some in pairs.repeated():
        against, decisive = _evaluate(some, verdicts, decides)
        i, j = some.i[~against], some.j[~against]
        clear = ~(pd.Series(i).duplicated(keep=False) | pd.Series(j).duplicated(keep=False)).to_numpy()
        chosen = clear & decisive[~against]
        partner[i[chosen]] = j[chosen]
    decided_by = [(left, right) for (left, right, _), tell in zip(verdicts, decides, strict=True) if tell]
    # prefer columns, which name the sample, to suffixes, which only number it
    decided_by.sort(key=lambda both: sum(one.labels is not None for one in both))
    named = [left for left, _ in decided_by] or [one for one in processed if one.called_sample]
    samples = named[0].values if named else None
    return Matching(partner, found, _rule(a, b, decided_by[:1]), (a, b), samples)


def _evaluate(
    some: CellPairs, verdicts: Sequence[tuple[Grouping, Grouping, Verdict]], decides: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether any verdict rejects each pair, and whether any confirms it; marks deciding verdicts in ``decides``."""
    against, decisive = np.zeros((2, len(some.i)), dtype=bool)
    for n, (_, _, one) in enumerate(verdicts):
        against_by_one, decisive_by_one = one.apply(some)
        against |= against_by_one
        decisive |= decisive_by_one
        decides[n] |= decisive_by_one.any()
    return against, decisive


def _share_repeated(labels: Labels) -> float:
    """Share of the cells whose barcode or name is not unique."""
    core = pd.Series(labels.core[labels.core != ""])
    return float(core.duplicated(keep=False).mean()) if len(core) else 0.0


def _of_one_sample(a: Labels, b: Labels) -> bool:
    """Whether both files seem to have a single sample; the sample words of short barcodes and names must agree."""
    if len(set(a.tags)) > 1 or len(set(b.tags)) > 1 or _share_repeated(a) or _share_repeated(b):
        return False
    words = [words_of(one.tags[0]) for one in (a, b)]
    return a.kind == "barcode" or not all(words) or words[0] <= words[1] or words[1] <= words[0]


def _expected_wrong(a: Labels, undecided: np.ndarray, found: np.ndarray, repeated: float) -> float:
    """Expected share of cells that get the counts of another sample if samples are ignored.

    This happens to a cell without counts if another sample has its barcode.
    """
    concerned = pd.Series(a.tags).isin(a.tags[undecided]).to_numpy()
    n_cells, n_missing = np.count_nonzero(concerned), np.count_nonzero(~found[concerned])
    if not n_cells:
        return 0.0
    if not repeated:
        return 0.0 if n_missing <= _MAX_MISSING * n_cells else n_missing / n_cells / n_cells
    # small data do not show rare events, so assume that one cell is missing
    return float(repeated * max(n_missing, 1) / n_cells)


def _rule(a: Labels, b: Labels, decided_by: Sequence[tuple[Grouping, Grouping]]) -> str:
    rule = f"Cells were matched by {_both(a.description, b.description)}"
    for left, right in decided_by:
        rule += f"; samples were told apart by {_both(left.description, right.description)}"
    return f"{rule}."


def _both(processed: str, counts: str) -> str:
    if processed == counts:
        return f"{processed} of both files"
    return f"{processed} of the processed file and {counts} of the counts"


def _disagreement_message(best: Matching, other: Matching, n: int) -> str:
    return (
        f"Two ways of matching the cells contradict each other in {n:,} of {len(best.partner):,} cells. "
        f"One: {best.rule} The other: {other.rule} "
        "Remove the wrong column, or name the cells of both files by sample and barcode."
    )
