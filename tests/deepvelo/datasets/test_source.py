from __future__ import annotations

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from deepvelo.datasets import public, shipped
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        index=[f"run1:AAACCTGAGCATC{a}{b}{c}x" for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    )
    adata = anndata.AnnData(
        rng.poisson(1.0, (len(cells), 5)).astype(np.float32), obs=cells, var=pd.DataFrame(index=list("ABCDE"))
    )
    adata.layers["spliced"], adata.layers["unspliced"] = adata.X, adata.X[:, ::-1].copy()
    adata.write_h5ad(tmp_path / "counts.h5ad")
    return tmp_path / "counts.h5ad"


@pytest.fixture
def processed(counts: Path, tmp_path: Path) -> Path:
    names = [
        name.removeprefix("run1:").removesuffix("x") + "-1" for name in anndata.read_h5ad(counts).obs_names
    ]
    adata = anndata.AnnData(obs=pd.DataFrame(index=names), var=pd.DataFrame(index=list("ABCDE")))
    adata.X = np.ones(adata.shape, dtype=np.float32)
    adata.obsm["X_umap"] = np.ones((adata.n_obs, 2))
    adata.write_h5ad(tmp_path / "processed.h5ad")
    return tmp_path / "processed.h5ad"


def test_file_is_read(counts: Path) -> None:
    source = DataSource(kind="file", path=str(counts))
    adata = source.load()
    assert source.label == "counts.h5ad"
    assert {"spliced", "unspliced"} <= set(adata.layers)
    assert source.load() is not adata


def test_join_brings_the_counts_onto_the_processed_cells(counts: Path, processed: Path) -> None:
    source = DataSource(kind="join", path=str(processed), counts_path=str(counts))
    adata = source.load()
    assert source.label == "processed.h5ad + counts.h5ad"
    assert adata.obs_names[0].endswith("-1")
    assert "X_umap" in adata.obsm
    np.testing.assert_array_equal(
        np.asarray(adata.layers["spliced"]), anndata.read_h5ad(counts).layers["spliced"]
    )


def test_sample_is_the_shipped_file() -> None:
    source = DataSource(kind="sample")
    assert "imulated" in source.label
    assert source.hash() == DataSource(kind="file", path=str(shipped.path())).hash()


def test_public_set_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(public, "load", lambda name, *, folder: asked.append((name, folder)))
    DataSource(kind="public", name="pancreas", path=str(tmp_path)).load()
    DataSource(kind="public", name="pancreas").load()
    assert asked == [("pancreas", tmp_path), ("pancreas", Path.home() / ".cache" / "deepvelo")]


def test_hash_follows_the_content(counts: Path, processed: Path) -> None:
    def join_hash() -> str:
        return DataSource(kind="join", path=str(processed), counts_path=str(counts)).hash()

    alone, joined = DataSource(kind="file", path=str(counts)).hash(), join_hash()
    renamed = counts.rename(counts.with_name("renamed.h5ad"))
    assert DataSource(kind="file", path=str(renamed), name="other").hash() == alone
    renamed.rename(counts)
    with counts.open("ab") as file:
        file.write(b"more")
    assert DataSource(kind="file", path=str(counts)).hash() != alone
    assert join_hash() != joined
    assert DataSource(kind="public", name="a").hash() != DataSource(kind="public", name="b").hash()


def test_description_travels_and_compares() -> None:
    source = DataSource(kind="join", path="/a", counts_path="/b", name="mine")
    assert pickle.loads(pickle.dumps(source)) == source
    assert DataSource(**asdict(source)) == source
    assert len({source, DataSource(**asdict(source)), DataSource(kind="sample")}) == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "file"}, "need path"),
        ({"kind": "join", "path": "/a"}, "need counts_path"),
        ({"kind": "public"}, "need name"),
        ({"kind": "url", "path": "http://x"}, r"`kind` must be one of.*Got 'url'"),
    ],
)
def test_descriptions_that_lead_nowhere(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        DataSource(**fields)


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    source = DataSource(kind="file", path=str(tmp_path / "gone.h5ad"))
    for ask in (source.load, source.hash):
        with pytest.raises(InputError, match=r"gone\.h5ad"):
            ask()


def test_data_replaced_while_they_are_read_are_read_again(
    counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash is that of the data which were read, also where size and time of the file are the same."""
    source, load = DataSource("file", str(counts)), DataSource.load
    old, other = anndata.read_h5ad(counts), anndata.read_h5ad(counts)
    other.layers["spliced"] = other.layers["spliced"] + 1
    replaced = []

    def load_and_replace(source: DataSource) -> anndata.AnnData:
        adata = load(source)
        if not replaced:
            replaced.append(source.hash())
            other.write_h5ad(counts)
        return adata

    monkeypatch.setattr(DataSource, "load", load_and_replace)
    adata, data_hash = source.load_with_hash()
    assert data_hash == source.hash() != replaced[0]
    assert adata.layers["spliced"].sum() == other.layers["spliced"].sum() != old.layers["spliced"].sum()


def test_data_that_never_stand_still_are_one_sentence(counts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter("abcdefgh")
    monkeypatch.setattr(DataSource, "hash", lambda _: next(hashes))
    monkeypatch.setattr(DataSource, "load", lambda _: None)
    with pytest.raises(InputError, match=r"counts\.h5ad changed while it was read.*Wait"):
        DataSource("file", str(counts)).load_with_hash()


def test_a_file_of_other_content_and_the_same_size_and_time_has_another_hash(tmp_path: Path) -> None:
    file = tmp_path / "a.h5ad"
    file.write_bytes(b"before")
    times = file.stat()
    source = DataSource("file", str(file))
    before = source.hash()
    (tmp_path / "b").write_bytes(b"after!")
    os.utime(tmp_path / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "b").replace(file)
    assert source.hash() != before
