"""Settings of lineages: frozen, explained, kept as JSON, and a bad value is one sentence."""

from __future__ import annotations

import dataclasses
import json

import pytest

from deepvelo.errors import InputError
from deepvelo.lineages import LineageSettings, from_dict, to_dict
from deepvelo.lineages.settings import key_of
from deepvelo.tl.lineage.macrostates import MOST_STATES

ALL = LineageSettings(
    cluster_key="clusters", root="nIPC", terminal=("OL", "Mossy"), n_states=4, weight_connectivities=0.5, seed=7
)  # fmt: skip


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ALL.root = "Mossy"


def test_json_and_back():
    assert from_dict(json.loads(json.dumps(to_dict(ALL)))) == ALL
    assert from_dict({"cluster_key": "clusters"}) == LineageSettings(cluster_key="clusters")


def test_every_choice_makes_a_key_of_its_own():
    changes = (
        {"cluster_key": "leiden"}, {"root": None}, {"terminal": ("OL",)}, {"n_states": None},
        {"weight_connectivities": 0.4}, {"stability": 0.9}, {"seed": 8},
    )  # fmt: skip
    assert {name for change in changes for name in change} == set(to_dict(ALL))
    found = {key_of(settings) for settings in (ALL, *(dataclasses.replace(ALL, **one) for one in changes))}
    assert len(found) == 1 + len(changes)
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in found)


def test_what_decides_nothing_makes_no_other_settings():
    same = dataclasses.replace(ALL, terminal=("Mossy", "OL", "Mossy"))
    assert same == ALL
    assert key_of(same) == key_of(ALL)
    whole, exact = (LineageSettings(cluster_key="c", weight_connectivities=zero) for zero in (0, 0.0))
    assert key_of(whole) == key_of(exact)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_states": 0}, r"`n_states` should be greater than or equal to 1\. Got 0\. Change it\."),
        (
            {"n_states": MOST_STATES + 1},
            rf"`n_states` should be less than or equal to {MOST_STATES}\. Got {MOST_STATES + 1}\.",
        ),
        (
            {"weight_connectivities": 1.0},
            r"`weight_connectivities` should be less than .* 0\.95\. Got 1\.0\.",
        ),
        ({"weight_connectivities": float("nan")}, r"`weight_connectivities` .* Got nan\."),
        ({"seed": -1}, r"`seed` should be greater than or equal to 0\. Got -1\."),
        ({"terminal": "Tip A"}, r"`terminal` should be a valid tuple\. Got 'Tip A'\."),
        ({"terminals": ["Tip A"]}, r"no setting `terminals`\. Choose among .*'terminal'"),
        ({"cluster_key": None}, r"`cluster_key` should be a valid string\. Got None\."),
    ],
)
def test_a_bad_value_is_one_sentence(values, message):
    with pytest.raises(InputError, match=message) as error:
        from_dict({"cluster_key": "clusters"} | values)
    assert "\n" not in str(error.value)


def test_the_grouping_has_to_be_named():
    with pytest.raises(InputError, match=r"`cluster_key` is missing"):
        from_dict({})
