"""Layouts of counters and tools are read, or the message says what to do."""

from __future__ import annotations

import anndata as ad
import pytest
from anndata import AnnData

from tests.cases.bench import Bench, assert_noted, require_agreement, same_matrix, says
from tests.cases.made import layouts
from tests.cases.made.cells import barcodes, cells, counts, ens
from tests.cases.made.every import makers

REFUSED = ("gzip_named_loom", "tenx_h5_as_h5ad")


@pytest.mark.slow
@pytest.mark.parametrize("case", makers(layouts))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def assert_counts(fit: AnnData, spliced: object, unspliced: object) -> None:
    """The output has these counts of its genes, which are the first ones of the file."""
    wanted = AnnData(layers={"spliced": spliced, "unspliced": unspliced})
    assert fit.shape == wanted.shape
    for name, layer in wanted.layers.items():
        assert same_matrix(fit.layers[name], layer)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("kb_nac_h5ad", ("mature", "nascent")),
        ("dynverse_layers", ("counts_spliced", "counts_unspliced")),
        ("loom_main_is_spliced", ("used as spliced", "unspliced")),
    ],
)
def test_layers_under_other_names_are_read(bench: Bench, case: str, names: tuple[str, ...]) -> None:
    given = cells() if case != "loom_main_is_spliced" else cells(100, 40)
    fit = bench.run(case)
    assert_counts(fit.adata, given.layers["spliced"], given.layers["unspliced"])
    assert_noted(bench, case, *names)


@pytest.mark.slow
def test_genes_that_come_three_times_are_taken_apart(bench: Bench) -> None:
    spliced, unspliced, *_ = counts(120, 40)
    fit = bench.run("counts_only_in_raw")
    assert list(fit.adata.var_names) == ens(40, version=False)
    assert_counts(fit.adata, spliced, unspliced)
    assert_noted(bench, "counts_only_in_raw", "-U", "-A")


@pytest.mark.slow
def test_a_folder_of_starsolo_is_read(bench: Bench) -> None:
    spliced, unspliced, *_ = counts(60, 40)
    fit = bench.run("starsolo_folder")
    assert list(fit.adata.obs_names) == barcodes(60)
    assert list(fit.adata.var_names) == [f"Gene{i}" for i in range(40)]
    assert_counts(fit.adata, spliced, unspliced)


def test_one_matrix_of_starsolo_is_not_taken_for_a_data_set(bench: Bench) -> None:
    told = bench.check("starsolo_folder", "Solo.out/Velocyto/filtered/spliced.mtx")
    assert told.code == 0 or (told.code == 2 and told.says("spliced.mtx", "STARsolo", "h5ad"))


@pytest.mark.slow
def test_a_file_packed_with_gzip_is_read_or_named(bench: Bench) -> None:
    told = bench.run("gzipped_h5ad")
    if told.code == 0:
        assert told.adata.n_obs == 60
    else:
        assert told.says("gzip", "unpack")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("gzip_named_loom", ("gzip", "unpack")),
        ("tenx_h5_as_h5ad", ("10x", "unspliced", "velocyto", "alevin-fry", "STARsolo")),
    ],
)
def test_files_without_what_is_needed_are_named(bench: Bench, case: str, words: tuple[str, ...]) -> None:
    told = bench.check(case)
    assert told.code == 2
    assert told.says(*words)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["mudata_h5mu", "mudata_as_h5ad"])
def test_the_rna_of_several_modalities_is_read_or_named(bench: Bench, case: str) -> None:
    told = bench.run(case)
    if told.code == 0:
        assert told.adata.shape[0] == 60
        assert set(told.adata.var_names) <= {f"Gene{i}" for i in range(40)}
    else:
        assert told.says("modalities", "rna", "atac", 'mdata["rna"]', "h5ad")


@pytest.mark.slow
def test_counts_packed_by_a_plugin_are_read_or_named(bench: Bench) -> None:
    told = bench.run("hdf5plugin_zstd")
    if told.code == 0:
        assert_counts(told.adata, cells().layers["spliced"], cells().layers["unspliced"])
    else:
        assert told.says("compressed", "hdf5plugin", "gzip")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "name"), [("unknown_encoding_in_uns", "tool_result"), ("unknown_encoding_in_obs", "frac")]
)
def test_what_cannot_be_read_is_left_out_with_a_note(bench: Bench, case: str, name: str) -> None:
    fit = bench.run(case)
    assert name not in fit.adata.uns
    assert name not in fit.adata.obs
    assert_noted(bench, case, name)


@pytest.mark.slow
def test_a_zarr_folder_inside_a_folder_is_read_or_named(bench: Bench) -> None:
    told = bench.run("zarr_without_ending")
    if told.code == 0:
        assert told.adata.n_obs == 60
    else:
        assert told.says("sample/x")


@pytest.mark.slow
def test_cells_without_neighbours_are_no_lost_cells(bench: Bench) -> None:
    given, fit = ad.read_h5ad(bench.data("graph_empty_rows")), bench.run("graph_empty_rows")
    said = bench.check("graph_empty_rows").said + fit.said + bench.page("graph_empty_rows").said
    assert "taken out" not in said
    if not same_matrix(fit.adata.obsp["distances"], given.obsp["distances"]):
        assert_noted(bench, "graph_empty_rows", "2 cells", "neighbour")


@pytest.mark.slow
def test_a_small_panel_is_fitted_with_fewer_components(bench: Bench) -> None:
    fit = bench.run("panel_18_genes")
    assert fit.metrics["n_velocity_genes"] == 18
    assert_noted(bench, "panel_18_genes", "components", "18")
    assert not says(fit.said, "lower")
