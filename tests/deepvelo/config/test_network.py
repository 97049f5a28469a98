"""Start and rate layer must fit each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deepvelo.config import NetworkConfig, from_dict
from deepvelo.errors import InputError


def test_a_graph_as_rate_layer_knows_no_start_but_random():
    assert NetworkConfig(rate_layer="graph", start="random").rate_layer == "graph"
    with pytest.raises(ValidationError, match="knows no start but 'random'"):
        NetworkConfig(rate_layer="graph")


@pytest.mark.parametrize("start", ["steady_state", "random"])
def test_the_linear_rate_layer_knows_both_starts(start):
    assert NetworkConfig(start=start).start == start


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([64, "wide"], "64, 'wide'"),
        (["abc"], "'abc'"),
        ("abc", "'abc'"),
        ([0], "0"),
        ([64, 2049], "64, 2049"),
        ([8.5], "8.5"),
        ([4] * 7, "4, 4, 4, 4, 4, 4, 4"),
        ([], "none"),
    ],
)
def test_bad_layer_sizes_are_told_what_they_should_be_together(sizes, found):
    with pytest.raises(InputError) as error:
        from_dict({"network": {"hidden_sizes": sizes}})
    assert str(error.value) == (
        "Setting `network.hidden_sizes` should be 1 to 6 whole numbers, each from 1 to 2,048, for example 64, 64. "
        f"Got {found}. Change it."
    )


def test_layer_sizes_at_their_limits_are_taken():
    assert NetworkConfig(hidden_sizes=(1, 2048)).hidden_sizes == (1, 2048)
    assert len(NetworkConfig(hidden_sizes=(4,) * 6).hidden_sizes) == 6
