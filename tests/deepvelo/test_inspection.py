"""What ends the process that reads data first, and what is said then."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import psutil
import pytest
from anndata import AnnData

from deepvelo import inspection
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.inspection import inspect

SOURCE = DataSource(kind="file", path="cells.h5ad")


@pytest.fixture
def child(monkeypatch):
    """Let the child process run some other code."""

    def run(code: str) -> None:
        monkeypatch.setattr(inspection, "_COMMAND", (sys.executable, "-c", code))

    return run


def counts(path, n_genes: int = 40) -> DataSource:
    spliced = np.random.default_rng(0).poisson(2.0, (60, n_genes)).astype(np.float32)
    AnnData(spliced, layers={"spliced": spliced, "unspliced": spliced}).write_h5ad(path)
    return DataSource(kind="file", path=str(path))


@pytest.mark.slow
def test_good_data_pass_and_bad_data_get_the_sentence_of_their_reader(tmp_path):
    inspect(counts(tmp_path / "good.h5ad"))
    (tmp_path / "bad.h5ad").write_bytes(b"text")
    with pytest.raises(InputError, match=r"bad\.h5ad is not an h5ad file"):
        inspect(DataSource(kind="file", path=str(tmp_path / "bad.h5ad"), more=()))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE"])
def test_a_crash_is_a_sentence_that_names_the_data_and_the_signal(child, name):
    child(f"import os, signal; os.kill(os.getpid(), signal.{name})")
    with pytest.raises(InputError, match=rf"cells\.h5ad .*{name}.*damaged"):
        inspect(SOURCE)


def test_a_kill_for_memory_is_told_as_one(child):
    child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(InputError, match="memory"):
        inspect(SOURCE)


def test_an_inspection_that_takes_too_long_is_ended(child):
    child("import time; time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(InputError, match="within 1 second"):
        inspect(SOURCE, seconds=1)
    assert time.monotonic() - start < 10
    assert not [
        process
        for process in psutil.Process().children()
        if process.is_running() and "sleep(60)" in " ".join(process.cmdline())
    ]


@pytest.mark.slow
def test_reading_takes_no_more_memory_than_is_free(child, tmp_path):
    child(
        "from deepvelo import inspection, memory\n"
        "memory.available_memory = lambda: 200 * 2**20\n"
        "from deepvelo.datasets import source\n"
        "import numpy as np\n"
        "source.DataSource.load = lambda self: np.ones(2**28)\n"
        "inspection.main()"
    )
    with pytest.raises(InputError, match=r"cells\.h5ad needs more memory"):
        inspect(SOURCE)


@pytest.mark.slow
def test_the_child_ends_with_its_parent(tmp_path):
    code = (
        "import time\nfrom deepvelo import inspection\nfrom deepvelo.datasets import source\n"
        "source.DataSource.load = lambda self: time.sleep(60)\ninspection.main()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    child.stdin.write(f"{json.dumps(asdict(SOURCE))}\n".encode())
    child.stdin.close()
    assert child.wait(30) == 1
