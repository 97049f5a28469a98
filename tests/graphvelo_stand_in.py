"""A stand-in for the GraphVelo package, which tests of what surrounds it must not need."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from deepvelo import choices, peers
from deepvelo.peers import PACKAGES

WEIGHT = 0.5


def install(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put a package in its place that gives every neighbour the weight 0.5; what it was called with is recorded."""
    calls = SimpleNamespace(n_pcs=None, genes=None, starts=[])

    class GraphVelo:
        def __init__(self, adata, *, xkey, vkey, n_pcs):
            calls.n_pcs, calls.genes = n_pcs, adata.n_vars
            self.X, self.V = adata.layers[xkey], adata.layers[vkey]
            self.nbrs_idx = adata.uns["neighbors"]["indices"]

    def regression_phi(i, X, V, C, nbrs, a, b, r, loss_func):
        assert (a, b, r, loss_func) == (1, 10, 1, "linear")
        calls.starts.append(C[i])
        return i, np.full(len(nbrs[i]), WEIGHT)

    def cos_corr(xi, Xj, vi):
        return np.sign((Xj - xi) @ vi)

    package = ModuleType("graphvelo")
    velocity, tangent = ModuleType("graphvelo.graph_velocity"), ModuleType("graphvelo.tangent_space")
    velocity.GraphVelo, velocity.regression_phi = GraphVelo, regression_phi
    tangent.cos_corr = cos_corr
    monkeypatch.setattr(choices, "version", lambda name: f"{name} 1")  # the stand-in has no metadata
    for module in (package, velocity, tangent):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    versions = {"graphvelo": PACKAGES["graphvelo"][1]}
    monkeypatch.setattr(peers, "version", versions.__getitem__)
    return calls
