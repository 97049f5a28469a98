"""Names, settings and costs that a fitted object tells of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.evaluation.compare import ResultFile, method_names, method_of
from deepvelo.evaluation.compare.results import stored_metric, stored_settings, stored_value, times_smoothed


def test_the_method_is_the_settings_one(fitted):
    assert method_of(fitted(method="dynamical")) == "dynamical"
    assert method_of(fitted(method=None)) is None
    without = fitted()
    without.uns[keys.DEEPVELO]["settings"] = "{}"
    assert method_of(without) == "deepvelo"
    without.uns[keys.DEEPVELO]["settings"] = "no json"
    assert method_of(without) == "deepvelo"


def test_names_take_the_file_where_methods_repeat(fitted):
    ours, theirs, other = fitted(), fitted(method="stochastic"), fitted(method=None)
    files = [ResultFile(Path(name)) for name in ("a.h5ad", "b.h5ad", "c.h5ad", "d.h5ad")]
    assert method_names(list(zip(files, [ours, theirs, ours, other], strict=True))) == [
        "deepvelo (a)", "stochastic", "deepvelo (c)", "d",
    ]  # fmt: skip
    same = [(ResultFile(Path("x/a.h5ad")), ours), (ResultFile(Path("y/a.h5ad")), ours)]
    assert method_names(same) == [f"deepvelo ({asked})" for asked, _ in same]
    layers = [(ResultFile(Path("a.h5ad"), layer), other) for layer in (None, "velocity_2")]
    assert method_names(layers) == ["a.h5ad", "a.h5ad::velocity_2"]


def test_an_imported_result_is_called_by_its_tool(fitted):
    result = fitted(method="imported", tool="dynamo")
    assert method_names([(ResultFile(Path("a.h5ad")), result)]) == ["dynamo"]


def test_a_layer_is_named_behind_the_file(tmp_path):
    assert ResultFile.parse("a.h5ad") == ResultFile(Path("a.h5ad"))
    assert ResultFile.parse("x/a.h5ad::velocity_S") == ResultFile(Path("x/a.h5ad"), "velocity_S")
    assert ResultFile.parse("a.h5ad::") == ResultFile(Path("a.h5ad"))
    odd = tmp_path / "a::b.h5ad"
    odd.touch()
    assert ResultFile.parse(str(odd)) == ResultFile(odd)


def test_what_was_not_stored_is_absent(fitted):
    assert stored_metric(fitted(), "seconds_train") == 2.5
    assert np.isnan(stored_metric(fitted(), "other"))
    assert np.isnan(stored_metric(fitted(method=None), "seconds_train"))
    assert stored_settings(fitted(method=None)) == {}
    assert times_smoothed(fitted()) == 0


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"seed": ' + "1" * 5000 + "}", "null", 5, np.array(["a", "b"])]
)
def test_settings_that_cannot_be_read_are_none(text):
    adata = AnnData(
        np.zeros((2, 2)), uns={keys.DEEPVELO: {"settings": text, "cluster_key": np.array([1, 2])}}
    )
    assert stored_settings(adata) == {}
    assert stored_value(adata, "cluster_key") is None
