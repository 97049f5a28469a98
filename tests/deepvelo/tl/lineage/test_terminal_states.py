"""Arrows between three groups of one or more cells, turned by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.tl.lineage.terminal_states import find_ends, with_ends

GROUPS = pd.Series(pd.Categorical(["A", "A", "B", "C"]))
# A <-> B <-> C, both ways, and inside A
COSINES = sparse.csr_matrix(
    np.array([[0, 0.9, 0.5, 0], [-0.9, 0, 0, 0], [-0.4, 0, 0, 0.3], [0, 0, -0.2, 0]], dtype=float)
)


def test_nothing_chosen_changes_nothing():
    found, warnings = with_ends(COSINES, GROUPS, root=None, terminal=None)
    assert np.array_equal(found.toarray(), COSINES.toarray())
    assert warnings == []


def test_a_choice_the_arrows_agree_with_changes_nothing_either():
    found, warnings = with_ends(COSINES, GROUPS, root="A", terminal=["C"])
    assert np.array_equal(found.toarray(), COSINES.toarray())
    assert warnings == []


def test_arrows_into_a_root_are_turned():
    found, warnings = with_ends(COSINES, GROUPS, root="C", terminal=None)
    expected = COSINES.toarray()
    expected[2, 3], expected[3, 2] = -0.3, 0.2
    assert np.array_equal(found.toarray(), expected)
    assert [w.split(":")[0] for w in warnings] == ["The arrows lead into 'C', which is chosen as the root"]


def test_inside_a_group_chosen_against_its_arrows_they_are_turned_too():
    found, warnings = with_ends(COSINES, GROUPS, root=None, terminal=["A"])
    expected = COSINES.toarray()
    expected[0, 1], expected[1, 0] = -0.9, 0.9
    expected[0, 2], expected[2, 0] = -0.5, 0.4
    assert np.array_equal(found.toarray(), expected)
    assert [w.split(":")[0] for w in warnings] == [
        "The arrows lead out of 'A', which is chosen as a terminal state"
    ]


def test_a_few_arrows_the_wrong_way_do_not_turn_the_inside():
    dense = COSINES.toarray()
    dense[1, 2] = -0.1
    mixed = sparse.csr_matrix(dense)
    found, warnings = with_ends(mixed, GROUPS, root="A", terminal=None)
    expected = mixed.toarray()
    expected[1, 2] = 0.1
    assert np.array_equal(found.toarray(), expected)
    assert warnings == []


def test_arrows_between_ends_are_left_out_and_an_end_that_has_no_other_is_said():
    found, warnings = with_ends(COSINES, GROUPS, root=None, terminal=["B", "C"])
    expected = COSINES.toarray()
    expected[2, 3] = expected[3, 2] = 0
    assert np.array_equal(found.toarray(), expected)
    assert found.nnz == COSINES.nnz - 2  # no entry: no neighbours
    assert [w.split(" but ")[0] for w in warnings] == ["Nothing leads to 'C'"]


def test_ends_are_found_with_or_without_the_blanks_of_their_names():
    groups = pd.Series(pd.Categorical(["early", "mature ", "mature ", "mature "]))
    assert find_ends(groups, root=" early", terminal=["mature"]) == ("early", ["mature "])
    assert find_ends(groups, root=None, terminal=None) == (None, None)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"root": "X"}, "There is no group 'X', chosen as root, in these data. Found 'A', 'B', 'C'."),
        ({"terminal": ["A", "X"]}, "There is no group 'X', chosen as terminal state, in these data."),
        ({"root": "A", "terminal": ["A"]}, "'A' is chosen as root and as terminal state."),
        ({"terminal": ["B"]}, "'B', chosen as terminal state, has 1 cell, and 3 are needed."),
        ({"terminal": []}, r"must be a list of one or more groups. Got \[\]."),
        ({"terminal": "C"}, "must be a list of one or more groups. Got 'C'."),
    ],
)
def test_ends_that_cannot_be(chosen, message):
    groups = pd.Series(pd.Categorical(["A", "A", "A", "B", "C", "C", "C"]))
    with pytest.raises(InputError, match=message):
        find_ends(groups, **({"root": None, "terminal": None} | chosen))
