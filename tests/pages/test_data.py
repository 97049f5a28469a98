"""The data page: what was found, what is missing, and bad input as a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from streamlit.testing.v1 import AppTest

PAGE = Path(__file__).resolve().parents[2] / "pages" / "data.py"
N_CELLS, N_GENES = 40, 10


@pytest.fixture
def counts() -> AnnData:
    rng = np.random.default_rng(0)
    barcodes = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in range(N_CELLS)]
    adata = AnnData(
        obs=pd.DataFrame({"clusters": pd.Categorical(np.resize(["OPC", "GABA"], N_CELLS))}, index=barcodes),
        var=pd.DataFrame(index=[f"Gene{i}" for i in range(N_GENES)]),
    )
    adata.layers["spliced"] = sparse.csr_matrix(rng.poisson(4, (N_CELLS, N_GENES)).astype(np.float32))
    adata.layers["unspliced"] = sparse.csr_matrix(rng.poisson(1, (N_CELLS, N_GENES)).astype(np.float32))
    adata.obsm["X_umap"] = rng.normal(size=(N_CELLS, 2))
    return adata


@pytest.fixture
def page(server) -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=60)


def opened(page: AppTest, data: str) -> AppTest:
    page.query_params["data"] = data
    return page.run()


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_empty_page_offers_the_sample(page):
    page.run()
    assert not page.exception
    assert "No data chosen yet" in page.info[0].value
    press(page, "Use the sample")
    assert not page.exception
    assert not page.error
    assert page.query_params["data"] == "sample"
    assert "Simulated" in page.subheader[0].value or "simulated" in page.subheader[0].value


def test_what_was_found_is_shown(page, server, counts):
    counts.write_h5ad(server / "data" / "cells.h5ad")
    opened(page, "file:cells.h5ad")
    assert not page.exception
    assert not page.error
    shown = metrics(page)
    spliced, unspliced = counts.layers["spliced"].sum(axis=1), counts.layers["unspliced"].sum(axis=1)
    assert (shown["Cells"], shown["Genes"], shown["Integer counts"]) == ("40", "10", "yes")
    assert shown["Unspliced"] == f"{np.mean(unspliced / (spliced + unspliced)):.0%}"
    assert len(page.get("plotly_chart")) == 2


def test_a_file_is_chosen_from_the_folder(page, server, counts):
    counts.write_h5ad(server / "data" / "cells.h5ad")
    page.run()
    page.button_group[0].set_value("file").run()
    assert page.selectbox[0].options == ["cells.h5ad"]
    press(page, "Load")
    assert page.query_params["data"] == "file:cells.h5ad"
    assert metrics(page)["Cells"] == "40"


def test_a_join_shows_its_match_rate(page, server, counts):
    processed = AnnData(obs=counts.obs, obsm=dict(counts.obsm))
    processed.obs_names = [f"sample:{name.removesuffix('-1')}x" for name in counts.obs_names]
    processed.write_h5ad(server / "data" / "processed.h5ad")
    counts.write_h5ad(server / "data" / "counts.h5ad")
    opened(page, "join:processed.h5ad|counts.h5ad")
    assert not page.exception
    assert "40 of 40 cells (100%)" in page.success[0].value


def without(layer):
    def spoil(adata):
        del adata.layers[layer]

    return spoil


def negative(adata):
    adata.layers["spliced"] = -adata.layers["spliced"]


def not_a_number(adata):
    dense = adata.layers["unspliced"].toarray()
    dense[0, 0] = np.nan
    adata.layers["unspliced"] = dense


def all_zero(adata):
    adata.layers["unspliced"] = adata.layers["unspliced"] * 0


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without("spliced"), "no 'spliced' layer"),
        (without("unspliced"), "no 'unspliced' layer"),
        (negative, "negative"),
        (not_a_number, "NaN"),
        (all_zero, "zero everywhere"),
    ],
)
def test_bad_layers_are_one_sentence_with_a_remedy(page, server, counts, spoil, sentence):
    spoil(counts)
    counts.write_h5ad(server / "data" / "bad.h5ad")
    opened(page, "file:bad.h5ad")
    assert not page.exception
    assert len(page.error) == 1
    assert sentence in page.error[0].value


def test_a_file_that_is_no_h5ad_is_one_sentence(page, server):
    (server / "data" / "fake.h5ad").write_bytes(b"not hdf5 at all")
    opened(page, "file:fake.h5ad")
    assert not page.exception
    assert "fake.h5ad" in page.error[0].value


def test_a_truncated_file_is_one_sentence(page, server, counts):
    path = server / "data" / "cut.h5ad"
    counts.write_h5ad(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    opened(page, "file:cut.h5ad")
    assert not page.exception
    assert "cut.h5ad" in page.error[0].value


@pytest.mark.parametrize(
    "data", ["file:../secret.h5ad", "file:/etc/passwd", "public:no-such-set", "nonsense"]
)
def test_a_bad_address_is_one_sentence(page, data):
    opened(page, data)
    assert not page.exception
    assert len(page.error) == 1


def test_data_without_groups_and_embedding_still_open(page, server, counts):
    bare = AnnData(layers={name: counts.layers[name] for name in ("spliced", "unspliced")})
    bare.write_h5ad(server / "data" / "bare.h5ad")
    opened(page, "file:bare.h5ad")
    assert not page.exception
    assert not page.error
    assert any("a UMAP will be computed" in caption.value for caption in page.caption)
