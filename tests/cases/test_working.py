"""What always worked goes on working."""

from __future__ import annotations

import html

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from tests.cases.bench import (
    Bench,
    assert_drawn_on,
    assert_noted,
    holding,
    require_agreement,
    same_matrix,
    says,
    texts,
)
from tests.cases.made import working
from tests.cases.made.cells import cells
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow

REFUSED = ("outer_concat_nan",)
SCORES = ("consistency_median", "consistency_celltype_median", "coherence_median", "boundary_genes")


@pytest.mark.parametrize("case", makers(working))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


@pytest.mark.parametrize("case", [case for case in makers(working) if case not in REFUSED])
def test_it_is_fitted(bench: Bench, case: str) -> None:
    fit = bench.run(case)
    assert fit.metrics["n_velocity_genes"] > 0
    assert np.isfinite(fit.adata.layers["velocity"]).any()


def test_genes_of_kallisto_are_called_by_symbol(bench: Bench) -> None:
    assert list(bench.run("kb_lamanno_loom").adata.var_names) == [f"Gene{i}" for i in range(60)]


def test_an_old_loom_has_its_embedding_and_groups(bench: Bench) -> None:
    fit = bench.run("loom_bytes").adata
    assert_drawn_on(fit, np.c_[np.arange(100.0), np.arange(100.0) % 7])
    assert (fit.uns["deepvelo"]["basis"], fit.uns["deepvelo"]["cluster_key"]) == ("tsne", "ClusterName")
    assert texts(fit.obs["ClusterName"]) == ["a", "b"] * 50


@pytest.mark.parametrize(("key", "groups"), [("cl", {"0", "1", "2"}), ("kept", {"False", "True"})])
def test_nullable_numbers_are_groups(bench: Bench, key: str, groups: set[str]) -> None:
    assert key in bench.page("nullable_int_groups").groupings
    named = texts(bench.run("nullable_int_groups", "--cluster-key", key).adata.obs[key])
    assert [i for i, name in enumerate(named) if name in ("unassigned", None)] == list(range(0, 150, 11))
    assert set(named) - {"unassigned", None} == groups


@pytest.mark.parametrize("case", ["nullable_categories", "anndata06_legacy", "anndata07_neighbors"])
def test_groups_are_those_of_the_file(bench: Bench, case: str) -> None:
    given = cells(120, 40) if case == "nullable_categories" else cells()
    fit = bench.run(case).adata
    assert texts(fit.obs["clusters"]) == texts(given.obs["clusters"])
    assert fit.uns["deepvelo"]["cluster_key"] == "clusters"


def test_the_embedding_of_an_old_file_is_drawn_on(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("anndata06_legacy")).obsm["X_umap"]
    assert_drawn_on(bench.run("anndata06_legacy").adata, np.asarray(given))


def test_the_graph_of_an_old_file_is_used(bench: Bench) -> None:
    given, fit = ad.read_h5ad(bench.data("anndata07_neighbors")), bench.run("anndata07_neighbors").adata
    for name in ("distances", "connectivities"):
        assert same_matrix(fit.obsp[name], given.obsp[name])


@pytest.mark.parametrize(
    ("case", "name"),
    [("zarr_v3_zip", "v2.zarr.zip"), ("zarr_v3_zip", "v3.zarr.zip"), ("zarr_mac_zip", "c.zarr.zip")],
)
def test_zipped_zarr_is_read(bench: Bench, case: str, name: str) -> None:
    assert bench.check(case, name).code == 0
    assert bench.run(case, name=name).adata.n_obs == 80
    assert not bench.page(case, name).errors


@pytest.mark.parametrize(
    ("case", "n_genes"),
    [
        ("odd_storage", 60),
        ("smartseq_reads", 60),
        ("two_percent_unspliced", 59),
        ("mostly_unspliced", 50),
        ("panel_50_genes", 50),
        ("leftovers_of_scvelo", 38),
        ("moments_few_genes", 10),
        ("upsampled_cells", 40),
    ],
)
def test_the_genes_of_a_fit_are_as_many_as_before(bench: Bench, case: str, n_genes: int) -> None:
    assert bench.run(case).metrics["n_velocity_genes"] == n_genes


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("tpm_layers", ("no raw counts",)),
        ("two_percent_unspliced", ("3% of the counts are unspliced",)),
        ("mostly_unspliced", ("82% of the counts are unspliced",)),
    ],
)
def test_odd_counts_are_warned_of(bench: Bench, case: str, words: tuple[str, ...]) -> None:
    assert says(bench.check(case).said, "warning", *words)
    assert any(says(warning, *words) for warning in bench.page(case).warnings)


def test_slashes_in_names_are_kept(bench: Bench) -> None:
    run = bench.fitted("slashes_everywhere")[1]
    fit = bench.run("slashes_everywhere").adata
    for obs, var in ((fit.obs, fit.var), (run.obs, run.var)):
        assert list(var.index) == [f"HLA/Gene{i}" for i in range(60)]
        assert list(obs.index) == [str(i) for i in range(150)]
        np.testing.assert_allclose(obs["CD4/CD8"], np.linspace(0, 1, 150))


def test_genes_without_a_name_get_one(bench: Bench) -> None:
    fit = bench.run("empty_gene_names")
    assert fit.adata.var_names.is_unique
    assert fit.adata.n_vars == 60
    assert_noted(bench, "empty_gene_names", "gene names")


def test_empty_columns_and_bytes_are_written_and_stored(bench: Bench) -> None:
    run = bench.fitted("empty_columns")[1]
    for obs in (bench.run("empty_columns").adata.obs, run.obs):
        assert obs["note"].isna().all()
        assert obs["condition"].isna().all()
        assert holding(obs, ["p1", "p2"] * 75) == ["plate"]


def test_embeddings_that_differ_in_case_alone_are_stored(bench: Bench) -> None:
    given = ad.read_h5ad(bench.data("embeddings_differ_in_case"))
    _, run = bench.fitted("embeddings_differ_in_case")
    for obsm in (bench.run("embeddings_differ_in_case").adata.obsm, run.obsm):
        for name in ("X_umap", "X_UMAP"):
            kept = [np.asarray(obsm[key]) for key in obsm if key.lower().startswith("x_umap")]
            assert any(np.allclose(values, given.obsm[name], atol=1e-5) for values in kept)


def test_every_embedding_is_kept(bench: Bench) -> None:
    given, fit = ad.read_h5ad(bench.data("two_umaps")).obsm, bench.run("two_umaps").adata
    assert fit.uns["deepvelo"]["basis"] == "umap"
    assert_drawn_on(fit, given["X_umap"])
    for name in ("X_umap", "X_umap_scvi", "X_mde", "spatial"):
        np.testing.assert_allclose(fit.obsm[name], given[name], rtol=1e-5)


def test_three_dimensions_are_drawn_compared_and_followed(bench: Bench) -> None:
    fit = bench.run("umap_3d")
    assert_drawn_on(fit.adata, ad.read_h5ad(bench.data("umap_3d")).obsm["X_umap"])
    assert bench.evaluate("umap_3d", files=(fit.output,)).velocity_genes == [60]
    assert bench.lineages("umap_3d", fit.output).report["lineages"]


@pytest.mark.parametrize("basis", ["umap", "tsne"])
def test_embeddings_of_small_numbers_are_drawn_on(bench: Bench, basis: str) -> None:
    given = ad.read_h5ad(bench.data("umap_float16")).obsm[f"X_{basis}"]
    fit = bench.run("umap_float16", "--basis", basis).adata
    np.testing.assert_allclose(fit.obsm[f"X_{basis}"], given, atol=1e-5)
    assert np.abs(fit.obsm[f"velocity_{basis}"]).max() > 0


def test_missing_counts_are_refused(bench: Bench) -> None:
    told = bench.run("outer_concat_nan")
    assert told.code == 2
    assert told.says("320", "NaN", "zero")


def test_one_group_alone_is_no_grouping(bench: Bench) -> None:
    assert bench.run("single_group").code == 0
    told = bench.run("single_group", "--cluster-key", "clusters")
    assert told.code == 2
    assert told.says("clusters", "one group")


def test_edges_of_numbered_groups_are_scored(bench: Bench) -> None:
    fit = bench.run("integer_categories")
    (method,) = bench.evaluate("integer_categories", "--edges", "0 > 1", files=(fit.output,)).methods
    assert method["boundary_genes: 0 > 1"] > 0
    drawn = bench.page("integer_categories").group_colors
    assert drawn == {"0": "#1f77b4", "1": "#ff7f0e", "2": "#123456"}


def test_groups_named_like_markup_are_in_the_legend(bench: Bench) -> None:
    drawn = bench.page("group_angle_brackets").group_colors
    assert {html.unescape(name) for name in drawn} == {"CD14<hi>", "CD14<lo>", "<i>Sox2</i>+"}


def test_tissues_apart_end_apart(bench: Bench) -> None:
    ends = bench.lineages("disconnected", bench.run("disconnected").output).report["lineages"]
    assert {name.startswith("blood") for name in ends} == {True, False}


@pytest.mark.parametrize(("case", "n_genes"), [("velovi_result", 30), ("unitvelo_result", 20)])
def test_velocity_genes_of_other_tools_are_counted(bench: Bench, case: str, n_genes: int) -> None:
    assert bench.evaluate(case).velocity_genes == [40, n_genes]


@pytest.mark.parametrize(
    "case", ["shuffled_without_graph", "first_umap_table", "result_nullable_names", "result_csc"]
)
def test_the_same_fit_has_the_same_scores(bench: Bench, case: str) -> None:
    compared = bench.evaluate(case, "--edges", "A progenitor > B immature")
    first, other = (pd.Series(method)[list(SCORES)].astype(float) for method in compared.methods)
    assert first.notna().all()
    np.testing.assert_allclose(first, other, rtol=1e-4)
    assert compared.velocity_genes == [40, 40]
