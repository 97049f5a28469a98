"""The quick form of the accuracy benchmark: the default must not fall behind scVelo."""

from __future__ import annotations

import json

import pytest

from benchmarks.accuracy import quick_plans, run, write
from benchmarks.accuracy_methods import SCVELO, SMOOTHED_SCVELO


@pytest.mark.slow
def test_the_default_is_closer_to_the_truth_than_any_scvelo_mode(tmp_path):
    rows = run(quick_plans(), jobs=2)
    write(tmp_path / "quick.json", rows, seconds=1.0)
    assert len(json.loads((tmp_path / "quick.json").read_text())["rows"]) == len(rows)
    for kind, of_kind in rows.groupby("kind"):
        cosine = of_kind.groupby("method")["cosine_own"].mean()
        assert cosine["default"] > cosine[[*SCVELO, *SMOOTHED_SCVELO]].max(), kind
    default = rows[rows["method"] == "default"]
    assert not default["reversed"].any()
