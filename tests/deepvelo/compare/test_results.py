"""Names, settings and costs that a fitted object tells of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepvelo import keys
from deepvelo.compare import method_names, method_of
from deepvelo.compare.results import stored_metric, stored_settings, times_smoothed


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
    files = [Path("a.h5ad"), Path("b.h5ad"), Path("c.h5ad"), Path("d.h5ad")]
    assert method_names(list(zip(files, [ours, theirs, ours, other], strict=True))) == [
        "deepvelo (a)", "stochastic", "deepvelo (c)", "d",
    ]  # fmt: skip
    same = [(Path("x/a.h5ad"), ours), (Path("y/a.h5ad"), ours)]
    assert method_names(same) == [f"deepvelo ({path})" for path, _ in same]


def test_what_was_not_stored_is_absent(fitted):
    assert stored_metric(fitted(), "seconds_train") == 2.5
    assert np.isnan(stored_metric(fitted(), "other"))
    assert np.isnan(stored_metric(fitted(method=None), "seconds_train"))
    assert stored_settings(fitted(method=None)) == {}
    assert times_smoothed(fitted()) == 0
