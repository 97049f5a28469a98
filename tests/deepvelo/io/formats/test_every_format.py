"""The same counts in every format read back to the same matrices, cells and genes."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from scipy import sparse

from deepvelo.io import read
from tests.counters import FORMATS, Counts, small_counts

WITHOUT_AMBIGUOUS = ("kb lamanno",)


def require_same(adata: anndata.AnnData, counts: Counts, *, ambiguous: bool) -> None:
    assert adata.shape == counts.spliced.shape
    order = adata.obs_names.get_indexer(counts.cells)
    assert (order >= 0).all()
    ids = [gene.partition(".")[0] for gene in counts.ids]
    named = [name.partition(".")[0] for name in adata.var_names]
    assert named in (ids, counts.symbols)
    for layer, expected in counts.layers.items():
        if layer == "ambiguous" and not ambiguous:
            continue
        found = sparse.csr_matrix(adata.layers[layer])
        assert found.dtype == np.float32
        assert (found[order] != expected).nnz == 0, layer


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("square", [False, True], ids=["", "square"])
def test_counts_in_every_format_read_back(tmp_path, name, square):
    counts = small_counts(*((6, 6) if square else (7, 5)))
    adata = read(FORMATS[name](counts, tmp_path))
    require_same(adata, counts, ambiguous=name not in WITHOUT_AMBIGUOUS)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_sample_in_every_format_reads_back(tmp_path, shared_data, name):
    raw = anndata.read_h5ad(shared_data / "dentate_gyrus_raw_100.h5ad")
    spliced, unspliced = (sparse.csr_matrix(raw.layers[layer]) for layer in ("spliced", "unspliced"))
    ambiguous = sparse.random(*raw.shape, density=0.01, format="csr", random_state=0)
    ambiguous.data = np.ceil(3 * ambiguous.data)
    ids = [f"ENSMUSG{i:011d}" for i in range(raw.n_vars)]
    cells = list(small_counts(raw.n_obs).cells)
    counts = Counts(spliced, unspliced, ambiguous, cells=cells, ids=ids, symbols=ids)
    require_same(read(FORMATS[name](counts, tmp_path)), counts, ambiguous=name not in WITHOUT_AMBIGUOUS)
