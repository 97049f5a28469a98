"""A correction of batches that the user made is the one that is used."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from anndata import AnnData

from tests.cases.bench import Bench, require_agreement, same_matrix
from tests.cases.made import corrected
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(corrected))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def share_of_other_batch(adata: AnnData) -> float:
    """Share of a cell's neighbours that are of the other batch, the mean over the cells."""
    graph = adata.obsp["distances"].tocoo()
    batch = adata.obs["batch"].astype(str).to_numpy()
    return float(np.mean(batch[graph.row] != batch[graph.col]))


@pytest.mark.parametrize("case", ["harmony_beside_pca", "fastmnn_only"])
def test_neighbours_come_from_the_corrected_components(bench: Bench, case: str) -> None:
    assert share_of_other_batch(bench.run(case).adata) >= 0.35


@pytest.mark.parametrize(
    ("case", "prefix"), [("neighbors_keys_elsewhere", "wnn_"), ("graph_without_uns", ""), ("bbknn_graph", "")]
)
def test_the_graph_of_the_file_is_used(bench: Bench, case: str, prefix: str) -> None:
    given, fit = ad.read_h5ad(bench.data(case)), bench.run(case).adata
    for name in ("distances", "connectivities"):
        assert same_matrix(fit.obsp[name], given.obsp[f"{prefix}{name}"])


def test_few_neighbours_of_some_cells_are_no_lost_cells(bench: Bench) -> None:
    said = bench.check("bbknn_graph").said + bench.run("bbknn_graph").said + bench.page("bbknn_graph").said
    assert "taken out" not in said
