"""Annotation as text, however it was stored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.contents.columns import as_text, is_textual


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ([1.0, 2.0, np.nan], ["1", "2", None]),
        ([0.5, 1.0], ["0.5", "1.0"]),
        (pd.array([1, None], dtype="Int64"), ["1", None]),
        (pd.array([True, None], dtype="boolean"), ["True", None]),
        (pd.array(["a", None], dtype="string"), ["a", None]),
        (pd.Categorical([2.0, 1.0, None]), ["2", "1", None]),
        ([b"x", "y", None], ["x", "y", None]),
        (["a ", " ", ""], ["a ", None, None]),
        ([0, 1.0, "T"], ["0", "1", "T"]),
    ],
)
def test_values_as_text(stored, text):
    column = pd.Series(stored, index=[f"c{i}" for i in range(len(text))], name="g")
    assert as_text(column).tolist() == text
    assert as_text(column).index.equals(column.index)


def test_text_is_told_from_numbers():
    text = (["a"], [b"a", None], pd.Categorical(["a"]), pd.array(["a"], dtype="string"))
    assert all(is_textual(pd.Series(values)) for values in text)
    assert not any(is_textual(pd.Series(values)) for values in ([1], [0.5], pd.Categorical([1]), [True]))
