"""Libraries of gene sets, with Enrichr played by a stand-in at the edge of the network."""

from __future__ import annotations

import importlib
import io
import json
import socket
import time

import pytest
import requests

from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.gene_library import library

GMT = "Axon guidance (GO:0007411)\t\tTMSB10,1.0\tCPE\t\nNothing\t\t\nCell cycle\t\tMKI67\tTOP2A\t\n"


class Enrichr:
    """Answers what gseapy asks of Enrichr; every request is written down."""

    def __init__(self):
        self.asked: list[str] = []
        self.names = ["GO_Biological_Process_2023", "KEGG_2021_Human"]
        self.gmt = GMT
        self.broken = ""

    def send(self, _adapter, request, **_kwargs):
        self.asked.append(request.path_url)
        if self.broken and self.broken in request.path_url:
            raise requests.ConnectionError("connection reset by peer")
        if "datasetStatistics" in request.path_url:
            body = json.dumps({"statistics": [{"libraryName": name} for name in self.names]})
        else:
            body = self.gmt if "geneSetLibrary" in request.path_url else ""
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200, request, request.url
        answer.raw = io.BytesIO(body.encode())
        return answer


@pytest.fixture
def enrichr(monkeypatch, tmp_path):
    server = Enrichr()
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda *args, **kw: server.send(*args, **kw))
    module = importlib.import_module("gseapy.enrichr")  # `gseapy.enrichr` is a function of the same name
    monkeypatch.setattr(module, "DEFAULT_CACHE_PATH", str(tmp_path / "gseapy"))
    return server


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_library_is_downloaded_once_and_kept_as_gmt(enrichr, tmp_path):
    wanted = {"Axon guidance (GO:0007411)": ("TMSB10", "CPE"), "Cell cycle": ("MKI67", "TOP2A")}
    folder = tmp_path / "kept" / "sets"
    assert library("GO_Biological_Process_2023", folder=folder) == wanted
    assert any("libraryName=GO_Biological_Process_2023" in path for path in enrichr.asked)
    assert [path.name for path in folder.iterdir()] == ["GO_Biological_Process_2023.gmt"]
    enrichr.asked.clear()
    assert library("GO_Biological_Process_2023", folder=folder) == wanted
    assert enrichr.asked == []


def test_the_folder_is_the_users_cache_by_default(enrichr, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    library("KEGG_2021_Human")
    assert (tmp_path / ".cache" / "deepvelo" / "gene_sets" / "KEGG_2021_Human.gmt").is_file()


def test_large_sets_are_kept_whole(enrichr, tmp_path):
    # gseapy's default leaves out what has above 2000 genes, and raises where that is half of the sets
    many = [f"G{n}" for n in range(2500)]
    enrichr.gmt = "Large\t\t" + "\t".join(many) + "\nSmall\t\tCPE\n"
    assert len(library("KEGG_2021_Human", folder=tmp_path / "sets")["Large"]) == 2500


def test_offline_and_not_kept_is_said_at_once(no_network, tmp_path):
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        library("KEGG_2021_Human", folder=tmp_path / "sets")
    assert time.monotonic() - start < 20  # gseapy alone waits half a minute
    assert str(error.value) == (
        f"The gene-set library 'KEGG_2021_Human' is not in {tmp_path / 'sets'} and could not be downloaded: Enrichr "
        "cannot be reached. Check the internet connection, or put a GMT file at "
        f"{tmp_path / 'sets' / 'KEGG_2021_Human.gmt'} yourself."
    )
    assert not (tmp_path / "sets").exists()


def test_a_kept_library_needs_no_network(no_network, tmp_path):
    (tmp_path / "Mine.gmt").write_text("A\t\tCpe\n")
    assert library("Mine", folder=tmp_path) == {"A": ("Cpe",)}


def test_a_download_that_breaks_off_leaves_nothing(enrichr, tmp_path):
    enrichr.broken = "geneSetLibrary"
    with pytest.raises(InputError, match="could not be downloaded: Enrichr cannot be reached"):
        library("KEGG_2021_Human", folder=tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


def test_a_page_of_a_proxy_is_no_library(enrichr, tmp_path):
    enrichr.gmt = "<html>\n<body>Please log in</body>\n</html>"
    with pytest.raises(InputError, match="could not be downloaded"):
        library("KEGG_2021_Human", folder=tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


def test_an_unknown_library_suggests_near_names(enrichr, tmp_path):
    with pytest.raises(
        InputError, match=r"no library 'KEGG_2021' among its 2\. Did you mean one of 'KEGG_2021_Human'"
    ):
        library("KEGG_2021", folder=tmp_path)


@pytest.mark.parametrize("name", ["", "../secret", "a/b", "a\\b", ".hidden"])
def test_a_name_cannot_leave_the_folder(no_network, tmp_path, name):
    with pytest.raises(InputError, match="is not the name of a library"):
        library(name, folder=tmp_path)


def test_a_folder_that_cannot_be_written(enrichr, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be saved to .*file.*Choose another folder"):
        library("KEGG_2021_Human", folder=tmp_path / "file" / "sets")


def test_a_kept_file_that_is_broken_is_named(no_network, tmp_path):
    (tmp_path / "Mine.gmt").write_text("A Cpe\n")
    with pytest.raises(InputError, match=r"Mine\.gmt, line 1 is not a gene set"):
        library("Mine", folder=tmp_path)
