"""Genes and cells are found by the names that people know, wherever the file keeps them."""

from __future__ import annotations

import anndata as ad
import pytest

from tests.cases.bench import Bench, assert_drawn_on, assert_noted, require_agreement, says
from tests.cases.made import genes
from tests.cases.made.cells import barcodes, ens
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow

SYMBOLS = [f"Gene{i}" for i in range(60)]


@pytest.mark.parametrize("case", makers(genes))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_genes_are_called_by_the_ids_of_kallisto(bench: Bench) -> None:
    names = list(bench.run("kb_target_name_loom").adata.var_names)
    assert names in (ens(60), ens(60, version=False))


def test_cells_and_genes_are_not_called_by_row_numbers(bench: Bench) -> None:
    fit = bench.run("simpleaf_h5ad")
    assert list(fit.adata.obs_names) == barcodes(150)
    assert list(fit.adata.var_names) == SYMBOLS
    assert_noted(bench, "simpleaf_h5ad", "barcodes")
    assert_noted(bench, "simpleaf_h5ad", "gene_symbol")


@pytest.mark.parametrize("case", ["stereo_loom_symbol", "cellxgene_layout", "species_prefix"])
def test_transcription_factors_are_found_by_symbol(bench: Bench, case: str) -> None:
    fit = bench.run(case)
    assert fit.code == 0, fit.said
    found = bench.lineages(case, fit.output, "--tfs", bench.made(case) / "tfs.txt").report["table_one"][
        "rows"
    ]
    assert found
    assert all(row["tfs_tested"] == 1 for row in found)


def test_the_picture_of_cellxgene_is_drawn_on(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("cellxgene_layout")).obsm["X_UMAP"]
    assert_drawn_on(bench.run("cellxgene_layout").adata, given)


def test_results_are_compared_whatever_the_case_of_their_genes(bench: Bench) -> None:
    compared = bench.evaluate("genes_spelled_otherwise")
    assert compared.velocity_genes == [40, 40]
    assert compared.report["agreement"]["common_velocity_genes"] == 40
    assert compared.report["agreement"]["median"] == pytest.approx(1)
    assert any(says(warning, "40 genes", "GENE0", "Gene0") for warning in compared.report["warnings"])
