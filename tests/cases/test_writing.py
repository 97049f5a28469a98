"""A fit is written, and stored where it opens again, whatever the tables of the file hold."""

from __future__ import annotations

import anndata as ad
import pytest

from tests.cases.bench import Bench, holding, require_agreement, texts
from tests.cases.made import writing
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(writing))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_nullable_names_and_texts_are_written(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("anndata013_nullable_names"))
    written = bench.run("anndata013_nullable_names").adata
    assert list(written.obs_names) == list(given.obs_names)
    assert list(written.var_names) == list(given.var_names)
    assert texts(written.obs["barcode"]) == texts(given.obs["barcode"])


def test_missing_texts_stay_missing(bench: Bench) -> None:
    given = texts(ad.read_h5ad(bench.data("nullable_text_column")).obs["note"])
    assert given.count(None) == 22
    assert texts(bench.run("nullable_text_column").adata.obs["note"]) == given
    assert texts(bench.fitted("nullable_text_column")[1].obs["note"]) == given


def test_a_column_called_as_the_index_of_files_is_kept_under_another_name(bench: Bench) -> None:
    names = [f"Gene{i}" for i in range(60)]
    written = bench.run("seuratdisk_var_index").adata
    assert list(written.var_names) == names
    (kept,) = holding(written.var, names)
    assert kept != "_index"


def test_names_that_repeat_become_unique_and_their_column_keeps_them(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("index_is_a_column_too"))
    stored = bench.fitted("index_is_a_column_too")[1]
    for obs in (bench.run("index_is_a_column_too").adata.obs, stored.obs):
        assert obs.index.is_unique
        assert len(obs) == 150
        assert list(obs.index[:75]) == list(given.obs_names[:75])
        assert holding(obs, list(given.obs_names))


def test_columns_that_differ_in_case_alone_are_stored(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("columns_differ_in_case")).obs
    run = bench.fitted("columns_differ_in_case")[1]
    for obs in (bench.run("columns_differ_in_case").adata.obs, run.obs):
        for name in ("clusters", "Clusters"):
            assert any(kept.lower().startswith("clusters") for kept in holding(obs, texts(given[name])))
