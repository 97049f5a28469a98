"""The table of scores: titles, definitions, and the best value of each score marked."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from app.shared.text import escape
from deepvelo.wording import decimal

ABSENT = "–"
BEST = "★"


class Column(NamedTuple):
    """Title, format and ranking of a column."""

    title: str
    decimals: int = 3
    sign: int = 1
    """1 if higher is better, -1 if lower is better, 0 for no ranking."""
    note: str = ""
    """Added to the definition."""


_MEDIAN, _MEAN = "median over the cells, at most 1", "mean of the chosen boundaries, -1 to 1"
COLUMNS = {
    "consistency_median": Column("Consistency, median", note=_MEDIAN),
    "consistency_celltype_median": Column("Within type, median", note=_MEDIAN),
    "coherence_median": Column("Coherence, median", note=_MEDIAN),
    "boundary_embedding": Column("CBDir (embedding)", note=_MEAN),
    "boundary_genes": Column("CBDir (genes)", note=_MEAN),
    "n_velocity_genes": Column("Velocity genes", decimals=0, sign=0, note="more is not better"),
    "seconds": Column("Seconds", decimals=2, sign=-1),
    # includes what the process held before
    "peak_memory_mb": Column("Memory (MB)", decimals=0, sign=0, note="of the whole process"),
}
_BOUNDARY = Column("CBDir")  # of one edge


def meaning(column: str) -> str:
    """A column's definition, as a sentence."""
    from deepvelo.evaluation.compare import definition

    text, note = definition(column), COLUMNS[column].note
    return f"{text[0].upper()}{text[1:]}{f'; {note}' if note else ''}."


def marked(table: pd.DataFrame, *, unranked: Collection[str] = ()) -> pd.DataFrame:
    """Rounded numbers as text, with a star before the best of each column and a dash for missing values.

    Columns are those of `COLUMNS`, or CBDir of single boundaries; columns in ``unranked`` get no star.
    """
    best = _best(table, unranked)
    return pd.DataFrame(
        {
            column: [
                _text(value, decimals=_of(column).decimals, best=is_best)
                for value, is_best in zip(values, best[column], strict=True)
            ]
            for column, values in table.items()
        },
        index=table.index,
    )


def better_in_words(table: pd.DataFrame, *, unranked: Collection[str] = ()) -> str:
    """A sentence that names the scores on which another method is better than the first, without ``unranked`` ones."""
    first = str(table.index[0])
    values = _comparable(table, unranked)
    others = {
        str(name): [
            _of(column).title.partition(",")[0]
            for column in values
            if values.loc[name, column] > values.loc[first, column]
        ]
        for name in table.index[1:]
    }
    if others and pd.isna(table.loc[first, "consistency_median"]):
        return f"**{escape(first)}** has no scores; the warnings below give the reason."
    if not others:
        return "Only one run: choose others above, or fit other methods, to compare it with."
    better = [f"**{escape(name)}** in {', '.join(titles)}" for name, titles in others.items() if titles]
    if not better:
        return (
            f"{BEST} marks the best of each score. No other method is better than **{escape(first)}** on any."
        )
    return f"{BEST} marks the best of each score. Better than **{escape(first)}**: {'; '.join(better)}."


def _text(value: float, *, decimals: int, best: bool) -> str:
    if pd.isna(value):
        return ABSENT
    return f"{BEST} " * best + decimal(value, decimals)


def _best(table: pd.DataFrame, unranked: Collection[str]) -> pd.DataFrame:
    """Whether each value is the best of its column, as rounded.

    A single value is not best, nor is CBDir of 0 or less.
    """
    values = _comparable(table, unranked)
    best = values.eq(values.max()) & (values.notna().sum() > 1)
    for column in values:
        if str(column).startswith("boundary"):  # arrows that all point away have no best
            best[column] &= values[column] > 0
    return best


def _comparable(table: pd.DataFrame, unranked: Collection[str]) -> pd.DataFrame:
    """Values with the sign that makes higher better; NaN for unranked columns."""
    return pd.DataFrame(
        {
            column: values.round(_of(column).decimals)
            * (float("nan") if column in unranked else _of(column).sign or float("nan"))
            for column, values in table.items()
        }
    )


def _of(column: object) -> Column:
    return COLUMNS.get(str(column), _BOUNDARY)
