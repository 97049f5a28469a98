"""The data page: what was found, what is missing, and bad input as a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from app.shared import cached
from deepvelo import inspection
from tests.on_page import figures

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
    assert "No data set chosen yet" in page.info[0].value
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
    assert (shown["Cells"], shown["Genes"], shown["Values"]) == ("40", "10", "whole counts")
    assert shown["Unspliced"] == f"{np.mean(unspliced / (spliced + unspliced)):.0%}"
    assert len(figures(page)) == 2


@pytest.mark.parametrize(
    "colors", [["tab:blue", "C1"], np.array([[31, 119, 180, 255], [255, 127, 14, 255]]) / 255]
)
def test_colours_as_matplotlib_knows_them_are_drawn(page, server, counts, colors):
    counts.uns["clusters_colors"] = colors
    counts.write_h5ad(server / "data" / "cells.h5ad")
    opened(page, "file:cells.h5ad")
    assert not page.exception
    embedding = figures(page)[1]
    assert [trace["marker"]["color"] for trace in embedding["data"]] == ["#1f77b4", "#ff7f0e"]


def test_a_picture_under_another_name_that_lacks_cells_is_drawn(page, server, counts):
    points = counts.obsm.pop("X_umap")
    points[:3] = np.nan
    counts.obsm["umap_cell_embeddings"] = points
    counts.obsm["X_pca_harmony"] = np.arange(4 * N_CELLS).reshape(-1, 4).astype(float)
    counts.write_h5ad(server / "data" / "cells.h5ad")
    opened(page, "file:cells.h5ad")
    assert not page.exception
    assert not page.error
    assert any("3 cells without coordinates" in note.value for note in page.info)
    assert sum(len(trace["customdata"]) > 0 for trace in figures(page)[1]["data"]) == 2
    assert any("Cells are compared in 'X" in text.value.replace("\\", "") for text in page.markdown)


def test_a_file_is_chosen_from_the_folder(page, server, counts):
    counts.write_h5ad(server / "data" / "cells.h5ad")
    page.run()
    page.button_group[0].set_value("file").run()
    assert page.selectbox[0].options == ["cells.h5ad"]
    press(page, "Load")
    assert page.query_params["data"] == "file:cells.h5ad"
    assert metrics(page)["Cells"] == "40"


def show_upload(page: AppTest) -> AppTest:
    page.run()
    return page.button_group[0].set_value("upload").run()


def upload(page: AppTest, content: bytes, name: str = "my cells.h5ad") -> AppTest:
    page.file_uploader[0].set_value((name, content, "application/octet-stream")).run()
    return press(page, "Load")


def test_an_upload_is_kept_once_and_the_uploader_is_empty_again(page, server, counts, monkeypatch):
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    freed = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_file", lambda self, session_id, file_id: freed.append(file_id)
    )
    counts.write_h5ad(server / "cells.h5ad")
    content = (server / "cells.h5ad").read_bytes()
    show_upload(page)
    keys = []
    assert any(str(server / "data" / "uploads") in caption.value for caption in page.caption)
    for _ in range(2):
        keys.append(page.file_uploader[0].key)
        upload(page, content)
        assert not page.exception
        assert not page.error
        (kept,) = (server / "data" / "uploads").iterdir()
        assert kept.read_bytes() == content
        assert page.query_params["data"] == f"file:uploads/{kept.name}"
        assert metrics(page)["Cells"] == "40"
        assert page.file_uploader[0].value is None
        assert not any(key in page.session_state for key in keys)
    assert len({*keys, page.file_uploader[0].key}) == 3
    assert len(set(freed)) == 2


def test_an_upload_that_is_no_data_is_one_sentence(page, server):
    show_upload(page)
    upload(page, b"barcode,cluster")
    assert not page.exception
    assert len(page.error) == 1


def test_uploads_are_removed_on_request(page, server, counts):
    counts.write_h5ad(server / "cells.h5ad")
    show_upload(page)
    upload(page, (server / "cells.h5ad").read_bytes())
    name = page.query_params["data"].removeprefix("file:")
    page.multiselect(key="data.uploads").set_value([name]).run()
    press(page, "Delete permanently")
    assert not page.exception
    assert not page.error
    assert list((server / "data" / "uploads").iterdir()) == []
    assert "No data set chosen yet" in page.info[0].value


def test_an_upload_in_training_stays(page, server, counts, monkeypatch):
    from app.background.job_status import JobStatus
    from app.shared import cached
    from deepvelo.config import Settings
    from deepvelo.datasets.source import DataSource

    counts.write_h5ad(server / "cells.h5ad")
    show_upload(page)
    upload(page, (server / "cells.h5ad").read_bytes())
    (kept,) = (server / "data" / "uploads").iterdir()
    source = DataSource(kind="file", path=str(kept))
    job = JobStatus(job_id="j", name="j", source=source, settings=Settings(), state="running")
    monkeypatch.setattr(cached.jobs(), "list", lambda: [job])
    page.multiselect(key="data.uploads").set_value([f"uploads/{kept.name}"]).run()
    press(page, "Delete permanently")
    assert "A training uses" in page.error[0].value
    assert kept.exists()


def test_an_address_downloads_no_public_set_and_the_button_does(page, server, counts, monkeypatch):
    from deepvelo.datasets import public

    asked = []

    def download(name, kept):
        asked.append(name)
        kept.parent.mkdir(parents=True)
        counts.write_h5ad(kept)

    monkeypatch.setenv("HOME", str(server))
    monkeypatch.setattr(public, "_download", download)
    opened(page, "public:gastrulation")
    assert not page.exception
    assert [error.value for error in page.error] == [
        "The public data set 'gastrulation' is not on this server yet. Press Load on the Data page to download it."
    ]
    assert asked == []
    assert page.selectbox(key="data.public").value == "gastrulation"
    press(page, "Load")
    assert (asked, metrics(page)["Cells"]) == (["gastrulation"], "40")
    assert not page.error


@pytest.mark.parametrize(
    ("layers", "said", "caption"),
    [
        (
            [],
            "There is no 'spliced' and no 'unspliced' layer. The file has no layers at all.",
            "There is no spliced and no unspliced layer, so the shares are not known.",
        ),
        (
            ["spliced"],
            "There is no 'unspliced' layer. Found 'spliced'.",
            "There is no unspliced layer, so the shares are not known.",
        ),
    ],
)
def test_without_layers_the_page_leads_to_no_training(page, server, counts, layers, said, caption):
    for name in {"spliced", "unspliced"} - set(layers):
        del counts.layers[name]
    counts.write_h5ad(server / "data" / "cells.h5ad")
    opened(page, "file:cells.h5ad")
    assert not page.exception
    assert page.error[0].value.startswith(said)
    assert train_button(page).proto.type == "secondary"
    assert metrics(page)["Values"] == "unknown"
    captions = [text.value for text in page.caption]
    assert caption in captions
    assert not any("not raw counts" in text for text in captions)


def test_layers_that_are_no_counts_are_told_and_can_be_trained_on(page, server, counts):
    spliced = counts.layers["spliced"].toarray()
    counts.layers["spliced"] = 1e4 * spliced / spliced.sum(axis=1, keepdims=True)
    counts.write_h5ad(server / "data" / "cells.h5ad")
    opened(page, "file:cells.h5ad")
    assert not page.exception
    assert not page.error
    assert train_button(page).proto.type == "primary"
    assert metrics(page)["Values"] == "normalised values"
    assert "The layers are not raw counts, so the shares are not known." in [
        text.value for text in page.caption
    ]


def train_button(page: AppTest) -> Button:
    return next(button for button in page.button if button.label == "Train on this data set")


def test_a_join_shows_its_match_rate(page, server, counts):
    processed = AnnData(obs=counts.obs, obsm=dict(counts.obsm))
    processed.obs_names = [f"sample:{name.removesuffix('-1')}x" for name in counts.obs_names]
    processed.write_h5ad(server / "data" / "processed.h5ad")
    counts.write_h5ad(server / "data" / "counts.h5ad")
    opened(page, "join:processed.h5ad|counts.h5ad")
    assert not page.exception
    assert "40 of 40 cells (100%)" in page.success[0].value
    assert any("matched by the barcodes" in note.value for note in page.info)
    shown = page.dataframe[0].value
    assert len(shown) == 5
    assert list(shown.iloc[0]) == [processed.obs_names[0], counts.obs_names[0]]


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
    assert any("a UMAP is computed" in caption.value for caption in page.caption)


def test_a_file_that_ends_the_process_that_reads_it_is_one_sentence(page, server, counts, monkeypatch):
    counts.write_h5ad(server / "data" / "hostile.h5ad")
    dying = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(inspection, "_COMMAND", (sys.executable, "-c", dying))
    monkeypatch.setattr(cached, "inspect", inspection.inspect)
    opened(page, "file:hostile.h5ad")
    assert not page.exception
    assert "hostile.h5ad" in page.error[0].value
    assert "SIGSEGV" in page.error[0].value
    assert not AppTest.from_file(str(PAGE), default_timeout=60).run().error
