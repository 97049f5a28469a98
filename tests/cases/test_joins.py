"""Counts are put onto the right cells, or not at all."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from anndata import AnnData

from tests.cases.bench import Bench, noted, notes_of
from tests.cases.made import joins
from tests.cases.made.every import makers

TWO_SAMPLES = ["join_suffix_order", "join_made_unique_order"]
ONE_SAMPLE = [case for case in makers(joins) if case not in TWO_SAMPLES]


def right(joined: AnnData) -> np.ndarray:
    """Whether each cell has its own counts, (n_cells,)."""
    first_gene = np.asarray(joined.layers["spliced"][:, [0]].toarray()).ravel()
    return first_gene == joined.obs["truth"].to_numpy()


def processed(bench: Bench, case: str) -> AnnData:
    return ad.read_h5ad(bench.made(case) / "processed.h5ad")


@pytest.mark.parametrize("case", ONE_SAMPLE)
def test_every_cell_finds_its_counts(bench: Bench, case: str) -> None:
    joined, report = bench.joined(case)
    assert right(joined).sum() == 120
    assert (report.n_matched, report.unmatched_processed) == (120, [])
    assert list(joined.obs["truth"]) == list(processed(bench, case).obs["truth"])


@pytest.mark.parametrize("case", ["join_ids_against_symbols", "join_simpleaf", "join_kb_nac"])
def test_genes_are_shared_whatever_names_the_counts_have(bench: Bench, case: str) -> None:
    assert bench.joined(case)[1].genes_shared == 40


@pytest.mark.parametrize("case", TWO_SAMPLES)
def test_no_cell_gets_the_counts_of_another_sample(bench: Bench, case: str) -> None:
    joined, report = bench.joined(case)
    assert right(joined).all()
    given = processed(bench, case)
    in_both = given.obs["truth"].isin([*range(1, 11), *range(1001, 1011)]).to_numpy()
    assert in_both.sum() == 20
    assert set(joined.obs["truth"]) >= set(given.obs["truth"][~in_both])
    assert report.n_matched == joined.n_obs
    assert len(report.unmatched_processed) == 240 - joined.n_obs


@pytest.mark.slow
@pytest.mark.parametrize(("case", "name"), [("join_obsm_table", "chromvar"), ("join_obsm_sparse", "bins")])
def test_what_a_join_leaves_out_is_noted(bench: Bench, case: str, name: str) -> None:
    joined, (fit, _) = bench.joined(case)[0], bench.fitted(case)
    for adata in (joined, fit):
        assert name in adata.obsm or noted(notes_of(adata), name)


@pytest.mark.slow
@pytest.mark.parametrize("case", makers(joins))
def test_joined_data_are_fitted_and_stored(bench: Bench, case: str) -> None:
    given = processed(bench, case)
    fit, run = bench.fitted(case)
    cells = given.obs["truth"].isin(run.obs["truth"]).to_numpy()
    assert cells.sum() == len(run.obs) >= (220 if case in TWO_SAMPLES else 120)
    assert list(given.obs["truth"][cells]) == list(run.obs["truth"])
    np.testing.assert_allclose(run.obsm["X_umap"], np.asarray(given.obsm["X_umap"])[cells], rtol=1e-5)
    assert "velocity_umap" in fit.obsm


@pytest.mark.slow
@pytest.mark.parametrize("case", makers(joins))
def test_joined_data_are_written(bench: Bench, case: str, tmp_path: Path) -> None:
    from deepvelo.io import write_h5ad

    joined, _ = bench.joined(case)
    write_h5ad(joined.copy(), tmp_path / "joined.h5ad")
    assert right(ad.read_h5ad(tmp_path / "joined.h5ad")).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", makers(joins))
def test_the_data_page_says_what_the_join_says(bench: Bench, case: str) -> None:
    joined, report = bench.joined(case)
    page = bench.page(case)
    assert not page.errors
    assert f"{report.n_matched:,} of {report.n_processed:,} cells" in page.said
    assert f"{report.genes_shared:,} genes" in page.said
    for note in notes_of(joined):
        assert note in page.said
