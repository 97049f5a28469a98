"""The worst colour."""

from __future__ import annotations

import pytest

from deepvelo.evaluation.gate import GateFinding, worst
from deepvelo.evaluation.gate.finding import MOVEMENT, graded


def findings(*levels, title=MOVEMENT):
    return [GateFinding(level=level, title=title, evidence="", threshold="", why="") for level in levels]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((), "not checked"),
        (("not checked",), "not checked"),
        (("not checked", "green"), "green"),
        (("green", "amber", "not checked"), "amber"),
        (("red", "amber", "green"), "red"),
    ],
)
def test_worst(levels, expected):
    assert worst(findings(*levels)) == expected


def test_what_is_said_of_the_data_alone_is_never_green():
    data = findings("green", "green", title="Unspliced fraction")
    assert worst([*data, *findings("not checked")]) == "not checked"
    assert worst([*data, *findings("green")]) == "green"
    assert worst([*findings("amber", title="Unspliced fraction"), *findings("not checked")]) == "amber"


@pytest.mark.parametrize(("value", "level"), [(0.5, "green"), (0.49, "amber"), (0.2, "amber"), (0.19, "red")])
def test_a_number_that_is_bad_when_low(value, level):
    assert graded(value, amber=0.5, red=0.2) == level
