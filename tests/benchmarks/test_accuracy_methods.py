"""Methods of other groups join the benchmark only where their packages are installed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import accuracy_methods as methods
from deepvelo import keys
from deepvelo.tl.metrics.consistency import neighbor_consistency
from tests.graphvelo_stand_in import WEIGHT, install


@pytest.mark.parametrize(
    ("graphvelo", "scvi", "names"),
    [
        (False, False, set()),
        (True, False, {"graphvelo", "graphvelo+smooth", "graphvelo on default"}),
        (False, True, {"velovi"}),
        (True, True, set(methods.PEERS)),
    ],
)
def test_only_installed_peers_are_offered(monkeypatch, graphvelo, scvi, names):
    monkeypatch.setattr(methods, "fitted_here", lambda: ("deepvelo", *["graphvelo"] * graphvelo))
    monkeypatch.setattr(methods, "find_spec", lambda name: object() if scvi and name == "scvi" else None)
    assert set(methods.peers()) == names
    assert not set(methods.METHODS) & set(methods.PEERS)
    assert set(methods.SMOOTHED_PEERS) <= set(methods.PEERS)


@pytest.mark.slow
def test_graphvelo_is_projected_from_the_stochastic_mode_and_smoothed_as_ours(monkeypatch):
    install(monkeypatch)
    case = methods.make_case("linear", "deep", seed=0, n_cells=100, n_genes=40)
    plain, smooth = case.prepared.copy(), case.prepared.copy()
    methods.graphvelo(plain, case.settings)
    methods.graphvelo_smoothed(smooth, case.settings)
    moments, graph = plain.layers[keys.MS], (plain.obsp[keys.DISTANCES] > 0).astype(float)
    expected = WEIGHT * (graph @ moments - np.asarray(graph.sum(axis=1)) * moments)
    assert plain.layers[keys.VELOCITY] == pytest.approx(expected, abs=1e-3)
    consistency = [neighbor_consistency(own.layers[keys.VELOCITY], graph).mean() for own in (plain, smooth)]
    assert consistency[1] > consistency[0] + 0.05
