"""Layouts of counters and tools are read, or the message says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from deepvelo.io import read
from tests.cases.bench import Bench, assert_noted, require_agreement, same_matrix, says
from tests.cases.made import layouts
from tests.cases.made.cells import barcodes, cells, counts, ens
from tests.cases.made.every import makers


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


def test_one_matrix_of_starsolo_stands_for_its_folder(bench: Bench) -> None:
    folder = read(bench.data("starsolo_folder"))
    one = read(bench.file("starsolo_folder", "Solo.out/Velocyto/filtered/spliced.mtx"))
    assert list(one.var_names) == list(folder.var_names)
    for name in ("spliced", "unspliced"):
        assert same_matrix(one.layers[name], folder.layers[name])


@pytest.mark.slow
def test_a_file_packed_with_gzip_is_read(bench: Bench) -> None:
    given = cells(60, 40)
    assert_counts(bench.run("gzipped_h5ad").adata, given.layers["spliced"], given.layers["unspliced"])


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
def test_the_rna_of_several_modalities_is_read(bench: Bench, case: str) -> None:
    given = cells(60, 40)
    assert_counts(bench.run(case).adata, given.layers["spliced"], given.layers["unspliced"])
    assert_noted(bench, case, "rna", "atac")


@pytest.mark.slow
def test_counts_packed_by_a_plugin_are_read(bench: Bench) -> None:
    given = cells()
    assert_counts(bench.run("hdf5plugin_zstd").adata, given.layers["spliced"], given.layers["unspliced"])


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
def test_a_zarr_folder_inside_a_folder_is_read(bench: Bench) -> None:
    given = cells(60, 40)
    fit = bench.run("zarr_without_ending").adata
    assert_counts(fit, given.layers["spliced"], given.layers["unspliced"])
    assert_noted(bench, "zarr_without_ending", "sample/x")


@pytest.mark.slow
def test_cells_without_neighbours_are_no_lost_cells(bench: Bench) -> None:
    fit = bench.run("graph_empty_rows")
    said = bench.check("graph_empty_rows").said + fit.said + bench.page("graph_empty_rows").said
    assert "taken out" not in said
    neighbours = np.diff(fit.adata.obsp["distances"].tocsr().indptr)
    assert neighbours.min() > 0
    for words in (bench.check("graph_empty_rows").said, fit.said, bench.page("graph_empty_rows").said):
        assert says(words, "2 cells", "no neighbour")


@pytest.mark.slow
def test_a_small_panel_is_fitted_with_fewer_components(bench: Bench) -> None:
    fit = bench.run("panel_18_genes")
    assert fit.metrics["n_velocity_genes"] == 18
    assert_noted(bench, "panel_18_genes", "components", "18")
    assert not says(fit.said, "lower it")  # the user has nothing to do
