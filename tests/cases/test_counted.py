"""Counts are treated as what they are, or refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from anndata import AnnData

from tests.cases.bench import Bench, assert_noted, require_agreement
from tests.cases.made import counted
from tests.cases.made.cells import barcodes, cells
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(counted))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_counts_with_fractions_are_size_normalised(bench: Bench) -> None:
    fit = bench.run("fractional_counts").adata
    totals = np.asarray(fit.layers["Ms"].sum(axis=1)).ravel()
    assert 0.8 <= totals[::2].sum() / totals[1::2].sum() <= 1.25
    sizes = np.asarray(ad.read_h5ad(bench.data("fractional_counts")).layers["spliced"].sum(axis=1)).ravel()
    assert sizes[::2].sum() / sizes[1::2].sum() > 3  # as the file has them


def deviation(fit: AnnData, raw: AnnData) -> float:
    """How much the moments of a gene over its size-normalised counts, means over the cells, vary between genes."""
    counts = raw[:, fit.var_names].layers["spliced"].toarray()
    sizes = counts.sum(axis=1, keepdims=True)
    normalised = (counts / sizes * np.median(sizes)).mean(axis=0)
    ratio = np.asarray(fit.layers["Ms"]).mean(axis=0) / normalised
    return float(ratio.std() / ratio.mean())


def test_scaled_moments_are_recomputed(bench: Bench) -> None:
    fit = bench.run("velovi_scaled_moments")
    assert_noted(bench, "velovi_scaled_moments", "moments", "recomputed")
    assert deviation(fit.adata, cells()) < 0.15
    assert deviation(ad.read_h5ad(bench.data("velovi_scaled_moments")), cells()) > 0.3  # as the file has them


def test_logarithms_are_undone(bench: Bench) -> None:
    fit = bench.run("log_layers")
    assert_noted(bench, "log_layers", "logarithm")
    assert deviation(fit.adata, cells()) < 0.15


def test_genes_in_rows_are_turned(bench: Bench) -> None:
    fit = bench.run("transposed")
    assert_noted(bench, "transposed", "rows", "columns")
    assert list(fit.adata.obs_names) == [f"{barcode}-1" for barcode in barcodes(150)]
    assert set(fit.adata.var_names) <= {f"Gene{i}" for i in range(60)}
