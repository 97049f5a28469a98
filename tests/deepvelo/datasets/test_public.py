from __future__ import annotations

import io
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import anndata as ad
import numpy as np
import pytest
import scvelo as scv
from scipy import sparse

from deepvelo.datasets import public
from deepvelo.errors import InputError


class Response(io.BytesIO):
    def info(self) -> Message:
        return Message()


@pytest.fixture
def served(tmp_path, monkeypatch) -> list[str]:
    """Every address serves one small file; the list tells which were asked for."""
    rng = np.random.default_rng(0)
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(1, (5, 4)).astype("float32")))
    adata.layers["spliced"], adata.layers["unspliced"] = adata.X.copy(), adata.X.copy()
    adata.write_h5ad(tmp_path / "served.h5ad")
    content, asked = (tmp_path / "served.h5ad").read_bytes(), []

    def answer(request, **_):
        asked.append(request.full_url)
        return Response(content)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_names_are_scvelos():
    assert all(callable(getattr(scv.datasets, name)) for name in public.NAMES)


def test_downloaded_once_and_nowhere_else(served, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    folder = tmp_path / "sets"
    first = public.load("pancreas", folder=folder)
    again = public.load("pancreas", folder=folder)
    assert len(served) == 1
    assert "Pancreas" in served[0]
    assert (first.layers["spliced"] != again.layers["spliced"]).nnz == 0
    assert [p.name for p in folder.iterdir()] == ["pancreas.h5ad"]
    assert list(Path.cwd().iterdir()) == []


def test_two_who_ask_at_once_download_once(served, tmp_path):
    with ThreadPoolExecutor() as pool:
        sets = list(pool.map(lambda _: public.load("pancreas", folder=tmp_path / "sets"), range(4)))
    assert len(served) == 1
    assert {adata.shape for adata in sets} == {(5, 4)}


def test_downloads_of_two_sets_leave_scanpys_cache_folder_alone(served, tmp_path):
    import scanpy as sc

    before = sc.settings.cachedir
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: public.fetch(name, folder=tmp_path / "sets"), ["pancreas", "bonemarrow"]))
    assert sc.settings.cachedir == before
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == ["bonemarrow.h5ad", "pancreas.h5ad"]


def test_what_is_kept_is_known_without_a_download(served, tmp_path):
    assert not public.is_downloaded("pancreas", folder=tmp_path / "sets")
    public.fetch("pancreas", folder=tmp_path / "sets")
    assert public.is_downloaded("pancreas", folder=tmp_path / "sets")
    assert len(served) == 1
    with pytest.raises(InputError, match="no public set 'liver'"):
        public.is_downloaded("liver", folder=tmp_path)


def test_broken_download_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_a, **_k: Response(b"half a file"))
    with pytest.raises(
        InputError, match=r"'pancreas' could not be downloaded.*internet connection.*pancreas\.h5ad"
    ):
        public.load("pancreas", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_is_one_sentence(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with pytest.raises(
        InputError, match=r"'dentategyrus' could not be downloaded: .*name resolution.*Check"
    ) as error:
        public.load("dentategyrus", folder=tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_loom_set_offline(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match="'forebrain' could not be downloaded: no route to host"):
        public.load("forebrain", folder=tmp_path)


def test_unknown_name_lists_the_others(tmp_path):
    with pytest.raises(InputError, match=r"no public set 'liver'. Found bonemarrow, dentategyrus.*Choose"):
        public.load("liver", folder=tmp_path)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written, so 'pancreas' cannot be kept.*another folder"):
        public.load("pancreas", folder=tmp_path / "file" / "sets")
