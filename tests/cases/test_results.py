"""Results of other tools are compared with a fit, or the file says what to save."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.io import read
from tests.cases.bench import Bench, require_agreement, says
from tests.cases.made import results
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(results))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_velocity_genes_kept_as_text_are_told_apart(bench: Bench) -> None:
    assert bench.evaluate("velocity_genes_text").velocity_genes == [40, 10]


def test_scores_take_the_velocities_there_are(bench: Bench) -> None:
    compared = bench.evaluate("velocity_nan_in_each_gene")
    assert compared.velocity_genes == [40, 40]
    whole, gaps = compared.methods
    for score in ("consistency_median", "consistency_celltype_median", "coherence_median"):
        assert gaps[score] == pytest.approx(whole[score], abs=0.05)
    assert any(says(warning, "40", "missing") for warning in compared.report["warnings"])


def test_a_result_of_dynamo_is_compared(bench: Bench) -> None:
    compared = bench.evaluate("dynamo_result")
    assert compared.velocity_genes == [40, 40]
    assert compared.report["agreement"]["median"] == pytest.approx(1)


def test_a_table_of_celldancer_is_compared(bench: Bench) -> None:
    compared = bench.evaluate("celldancer_csv")
    assert compared.velocity_genes == [30, 12]
    assert compared.report["cells_scored"] == 40
    # in its made-up table a cell moves along its own counts, a twentieth of them
    given = read(bench.data("celldancer_csv"))
    np.testing.assert_allclose(given.layers["velocity"], given.layers["Ms"] * 0.05, rtol=1e-4)


def test_groups_kept_as_numbers_are_those_kept_as_text(bench: Bench) -> None:
    compared = bench.evaluate("clusters_text_and_float", "--edges", "0 > 1")
    text, numbers = compared.methods
    for score in ("coherence_median", "consistency_celltype_median", "boundary_genes"):
        assert text[score] == pytest.approx(numbers[score])
    assert not any(says(warning, "group") for warning in compared.report["warnings"])


def test_cells_are_matched_whatever_stands_around_their_barcodes(bench: Bench) -> None:
    compared = bench.evaluate("names_dressed_otherwise")
    assert [method["n_cells"] for method in compared.methods] == [120, 120]
    assert compared.report["cells_scored"] == 120
    assert compared.report["agreement"]["median"] == pytest.approx(1)
    assert any(says(warning, "120 cells", "-1-0") for warning in compared.report["warnings"])


def test_groups_that_are_numbers_are_named_as_whole_ones(bench: Bench) -> None:
    compared = bench.evaluate("scvelo_fit_float_clusters", "--edges", "0 > 1, 1 > 2")
    assert compared.report["cluster_key"] == "clusters"
    (method,) = compared.methods
    assert method["boundary_genes: 0 > 1"] > 0
    assert method["boundary_genes: 1 > 2"] > 0


def test_lineages_of_a_fit_without_a_velocity_graph(bench: Bench) -> None:
    found = bench.lineages("scvelo_fit_upper_umap", bench.data("scvelo_fit_upper_umap"))
    assert "C mature" in found.report["lineages"]
    assert any(says(warning, "velocity graph") for warning in found.report["warnings"])
