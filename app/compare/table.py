"""The table of scores as people read it: titles, meanings, and the best of each score marked, whoever's it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from app.shared.text import escape
from deepvelo.wording import decimal

ABSENT = "–"
BEST = "★"


class Column(NamedTuple):
    """How a column of a comparison's table is shown."""

    title: str
    decimals: int = 3
    sign: int = 1
    """1 where more is better, -1 where less is, 0 where neither is."""
    note: str = ""
    """What the definition leaves open."""


_MEDIAN, _MEAN = "median over the cells, at most 1", "mean of the chosen boundaries, -1 to 1"
COLUMNS = {
    "consistency_median": Column("Consistency, median", note=_MEDIAN),
    "consistency_celltype_median": Column("Within type, median", note=_MEDIAN),
    "coherence_median": Column("Coherence, median", note=_MEDIAN),
    "boundary_embedding": Column("Boundary (embedding)", note=_MEAN),
    "boundary_genes": Column("Boundary (genes)", note=_MEAN),
    "n_velocity_genes": Column("Velocity genes", decimals=0, sign=0, note="more is not better"),
    "seconds": Column("Seconds", decimals=2, sign=-1),
    # of the whole process, with all that it held before
    "peak_memory_mb": Column("Memory (MB)", decimals=0, sign=0, note="of the whole process"),
}
_BOUNDARY = Column("Boundary")  # of one edge


def meaning(column: str) -> str:
    """A column's definition, as a sentence."""
    from deepvelo.evaluation.compare import definition

    text, note = definition(column), COLUMNS[column].note
    return f"{text[0].upper()}{text[1:]}{f'; {note}' if note else ''}."


def marked(table: pd.DataFrame, *, unranked: Collection[str] = ()) -> pd.DataFrame:
    """Rounded numbers as text, with a star before the best of every column and a dash for none.

    Columns are those of `COLUMNS`, or boundary scores of single edges; nothing is best in those that are ``unranked``.
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
    """On which scores another method is better than the first, as rounded, leaving out those ``unranked``."""
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
        return f"**{escape(first)}** has no scores to compare; its warnings below say why."
    if not others:
        return "One run alone: choose others above, or fit other methods, to see it beside them."
    better = [f"**{escape(name)}** in {', '.join(titles)}" for name, titles in others.items() if titles]
    if not better:
        return f"{BEST} marks the best of each score. No other is better than **{escape(first)}** on any of them."
    return f"{BEST} marks the best of each score. Better than **{escape(first)}**: {'; '.join(better)}."


def _text(value: float, *, decimals: int, best: bool) -> str:
    if pd.isna(value):
        return ABSENT
    return f"{BEST} " * best + decimal(value, decimals)


def _best(table: pd.DataFrame, unranked: Collection[str]) -> pd.DataFrame:
    """Whether each value is the best of its column, as rounded.

    Nothing is best where it stands alone, nor at a boundary that the arrows do not cross.
    """
    values = _comparable(table, unranked)
    best = values.eq(values.max()) & (values.notna().sum() > 1)
    for column in values:
        if str(column).startswith("boundary"):  # the least wrong of arrows that all point away is not good
            best[column] &= values[column] > 0
    return best


def _comparable(table: pd.DataFrame, unranked: Collection[str]) -> pd.DataFrame:
    """Values as they are read, turned so that more is better; NaN where neither is."""
    return pd.DataFrame(
        {
            column: values.round(_of(column).decimals)
            * (float("nan") if column in unranked else _of(column).sign or float("nan"))
            for column, values in table.items()
        }
    )


def _of(column: object) -> Column:
    return COLUMNS.get(str(column), _BOUNDARY)
