import numpy as np
import pandas as pd
import pytest

from app.shared.undecided import (
    has_probability,
    undecided_cells,
    undecided_in_words,
    undecided_lineages_in_words,
)
from deepvelo import keys
from deepvelo.io.runs import Run


class Cells(Run):
    """A run of which only the table of cells is asked."""

    def __init__(self, undecided: np.ndarray | None) -> None:
        self._table = pd.DataFrame({} if undecided is None else {keys.UNDECIDED: undecided})

    @property
    def obs(self) -> pd.DataFrame:
        return self._table


@pytest.mark.parametrize(
    ("undecided", "words"),
    [
        (np.arange(100) < 12, "12% of the cells, whose direction the data do not decide."),
        (np.ones(3, dtype=bool), "all cells"),
    ],
)
def test_one_sentence_about_faded_arrows(undecided, words):
    assert undecided_in_words(Cells(undecided)).startswith(f"**Faded arrows:** {words}")
    np.testing.assert_array_equal(undecided_cells(Cells(undecided)), undecided)


@pytest.mark.parametrize(("undecided", "says"), [(np.zeros(3, dtype=bool), True), (None, False)])
def test_nothing_is_faded_where_all_is_decided_or_no_fit_says(undecided, says):
    assert undecided_in_words(Cells(undecided)) == undecided_lineages_in_words(Cells(undecided)) == ""
    assert undecided_cells(Cells(undecided)) is None
    assert has_probability(Cells(undecided)) is says


@pytest.mark.parametrize(("n_undecided", "share"), [(12, "12% of the cells"), (100, "any cell")])
def test_lineages_that_rest_on_undecided_cells(n_undecided, share):
    words = undecided_lineages_in_words(Cells(np.arange(100) < n_undecided))
    assert f"do not decide the direction of {share}. Times, fates and drivers there are uncertain" in words
