"""Edges as people write them."""

from __future__ import annotations

import pytest

from deepvelo.errors import InputError
from deepvelo.evaluation.compare import GRANULE_EDGES, default_edges, parse_edges

GROUPS = ["Granule immature", "Granule mature", "Neuroblast", "T, helper"]


def test_repeated_and_separated_by_commas():
    found = parse_edges(
        ["Neuroblast>Granule immature , Granule immature > Granule mature", "Neuroblast > Granule immature"],
        groups=GROUPS,
    )
    assert found == list(GRANULE_EDGES)


def test_a_name_with_a_comma():
    assert parse_edges(["Neuroblast > T, helper"], groups=GROUPS) == [("Neuroblast", "T, helper")]


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("L2/3 IT, deep > CD34+ > CD38", [("L2/3 IT, deep", "CD34+ > CD38")]),
        ("CD34+ > CD38>mature", [("CD34+ > CD38", "mature ")]),
        ("mature  > 1.0,, 1 > L2/3 IT, deep ,", [("mature ", "1"), ("1", "L2/3 IT, deep")]),
        ("<b>NK</b> & [T] > mature", [("<b>NK</b> & [T]", "mature ")]),
    ],
)
def test_names_may_hold_what_separates_them(text, edges):
    groups = ["L2/3 IT, deep", "CD34+ > CD38", "<b>NK</b> & [T]", "mature ", "1"]
    assert parse_edges([text], groups=groups) == edges


def test_a_text_with_two_meanings_is_refused():
    with pytest.raises(InputError, match="from 'a' to 'b > c' or from 'a > b' to 'c'"):
        parse_edges(["a > b > c"], groups=["a", "b > c", "a > b", "c"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Neuroblast", "'source > target'. Got 'Neuroblast'"),
        ("Neuroblast >", "Got 'Neuroblast >'"),
        ("a > b > c", "Got 'a > b > c'"),
        ("Neuroblast > Granule", r"no group 'Granule'. Found 'Granule immature', .* Choose"),
        ("Neuroblast > Neuroblast", "Got 'Neuroblast' twice"),
    ],
)
def test_bad_edges_are_one_sentence(text, message):
    with pytest.raises(InputError, match=message):
        parse_edges([text], groups=GROUPS)


def test_the_granule_lineage_is_the_default_as_far_as_it_is_there():
    assert default_edges(GROUPS) == list(GRANULE_EDGES)
    assert default_edges(["Neuroblast", "Granule immature"]) == [GRANULE_EDGES[0]]
    assert default_edges(["A", "B"]) == []
