"""The examples in the docstrings of public functions run, and say what they say."""

from __future__ import annotations

import doctest
import inspect
import itertools
import sys

import pytest

import deepvelo as dv

ROOMS = ("pp", "tl", "pl", "io", "datasets")
FUNCTIONS = {
    f"{room}.{name}": function
    for room in ROOMS
    for name in getattr(dv, room).__all__
    if inspect.isfunction(function := getattr(getattr(dv, room), name))
}


@pytest.fixture(scope="module")
def prepared():
    adata = dv.datasets.simulate(kind="linear", n_cells=80, n_genes=60)
    adata.obs_names = ["".join(bases) for bases in itertools.islice(itertools.product("ACGT", repeat=8), 80)]
    dv.pp.moments(adata, n_top_genes=40, n_neighbors=15)
    return adata


@pytest.fixture(scope="module")
def fitted(prepared):
    adata = prepared.copy()
    dv.tl.velocity(adata, n_epochs=5, device="cpu")
    dv.tl.velocity_graph(adata)
    return adata


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_run(name, prepared, fitted, tmp_path):
    """What examples may use: ``dv``, ``adata`` with moments, ``fitted`` with a velocity graph, and a ``folder``."""
    function = FUNCTIONS[name]
    names = {"dv": dv, "adata": prepared.copy(), "fitted": fitted.copy(), "folder": tmp_path}
    module = sys.modules[function.__module__]
    told: list[str] = []
    for example in doctest.DocTestFinder(recurse=False).find(function, name, module=module, globs=names):
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert told == []
