"""Reports: whole files with every number, absent scores as absent."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from deepvelo.evaluation.compare import SCORES, compare, match, to_csv, to_json
from deepvelo.evaluation.compare.report import _records


@pytest.fixture
def comparison(fitted, field):
    still = fitted(field([0.0, 0, 0, 0]), method="stochastic")
    return compare(match({"ours": fitted(), "again": fitted(), "still": still}), edges=[("A", "B")])


def test_json_holds_table_tests_definitions_and_warnings(comparison):
    found = json.loads(to_json(comparison))
    ours, _, still = found["methods"]
    assert ours["method"] == "ours"
    assert ours["consistency_mean"] == pytest.approx(1)
    assert ours["share_of_cells"] == 1
    assert still["consistency_mean"] is None
    assert [test["p_text"] for test in found["tests"]] == ["1"] * 5
    assert found["definitions"] == SCORES
    assert found["edges"] == ["A > B"]
    assert found["agreement"] == {"median": pytest.approx(1), "common_velocity_genes": 4}
    assert any("still" in warning for warning in found["warnings"])


def test_csv_is_the_table(comparison):
    found = pd.read_csv(io.StringIO(to_csv(comparison)), index_col="method")
    pd.testing.assert_frame_equal(found, comparison.table)


def test_small_p_values_are_not_rounded_away():
    assert json.dumps(_records(pd.DataFrame({"p": [1e-200, None]}))) == '[{"p": 1e-200}, {"p": null}]'
