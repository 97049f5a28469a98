"""Small words: names in a row, decimals with a true minus, counted things."""

from __future__ import annotations

import pytest

from deepvelo.wording import decimal, for_terminal, in_one_line, listed, number


@pytest.mark.parametrize(
    ("names", "expected"), [([], "none"), (["Ms"], "'Ms'"), (["spliced", "Mu"], "'spliced', 'Mu'")]
)
def test_names_are_quoted_and_no_names_are_none(names, expected):
    assert listed(names) == expected


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        (0.25, 2, "0.25"),
        (-0.25, 2, "−0.25"),
        (1250, 2, "1,250.00"),
        (-1234567.891, 1, "−1,234,567.9"),
        (-1.5, 3, "−1.500"),
        (-3.0, 0, "−3"),
        (float("nan"), 2, "nan"),
    ],
)
def test_decimals_have_their_places_and_a_true_minus(value, places, expected):
    assert decimal(value, places) == expected


@pytest.mark.parametrize("value", [0.0, -0.0, 0.004, -0.004])
def test_what_rounds_to_nothing_has_no_sign(value):
    assert decimal(value) == "0.00"


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (2000, "2,000 cells")]
)
def test_only_one_is_singular(n, expected):
    assert number(n, "cell") == expected


def test_names_are_shown_in_one_line_without_what_cannot_be_seen():
    assert in_one_line("HLA-DRB1*01 <CD3>", most=50) == "HLA-DRB1*01 <CD3>"
    assert in_one_line("a\tb\nc\u2028d\xa0e", most=50) == "a b c d e"
    assert (
        in_one_line("a\u202eb\x1b[31m\u200bc\ud800\x00", most=50) == "a\ufffdb\ufffd[31m\ufffdc\ufffd\ufffd"
    )
    assert in_one_line("\U0001f469\u200d\U0001f52c", most=50) == "\U0001f469\u200d\U0001f52c"
    assert in_one_line("abcdefghij", most=7) == "abcd…ij"
    assert in_one_line(12, most=7) == "12"


def test_a_terminal_obeys_no_name():
    assert for_terminal("  a  b\n\x1b]0;title\x07c\x1b[31m") == "  a  b\n\ufffd]0;title\ufffdc\ufffd[31m"
