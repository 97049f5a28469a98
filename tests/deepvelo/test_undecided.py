import numpy as np
import pandas as pd
import pytest

from deepvelo import keys
from deepvelo.undecided import share_in_words, undecided_cells


def test_the_mask_that_a_fit_left():
    obs = pd.DataFrame({keys.UNDECIDED: [True, False, False]})
    assert undecided_cells(obs).tolist() == [True, False, False]


@pytest.mark.parametrize("column", [None, ["yes", "no"], [1.0, 0.0]])
def test_no_fit_says(column):
    obs = pd.DataFrame({} if column is None else {keys.UNDECIDED: column}, index=["a", "b"])
    assert undecided_cells(obs) is None


@pytest.mark.parametrize(
    ("n_undecided", "words"),
    [(0, "0%"), (1, "under 1%"), (120, "12%"), (999, "over 99%"), (1000, "100%")],
)
def test_only_none_is_0_and_only_all_is_100_per_cent(n_undecided, words):
    assert share_in_words(np.arange(1000) < n_undecided) == words
