"""Start and rate layer must fit each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deepvelo.config import NetworkConfig


def test_a_graph_as_rate_layer_knows_no_start_but_random():
    assert NetworkConfig(rate_layer="graph", start="random").rate_layer == "graph"
    with pytest.raises(ValidationError, match="knows no start but 'random'"):
        NetworkConfig(rate_layer="graph")


@pytest.mark.parametrize("start", ["steady_state", "random"])
def test_the_linear_rate_layer_knows_both_starts(start):
    assert NetworkConfig(start=start).start == start
