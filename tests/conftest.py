"""Fixtures several test files share."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import zarr.codecs._v2
import zarr.storage._local

if TYPE_CHECKING:
    from deepvelo.io.runs import Run

# Test data are tiny: threads that wait for each other would take most of the time.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
# AnnData asks for Zarr's version with every array it stores, and each time a file is parsed for it.
importlib.metadata.version = cache(importlib.metadata.version)


async def _in_this_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


# Zarr hands every small file to another thread, which takes longer than reading or writing it.
for _module in (zarr.storage._local, zarr.codecs._v2, zarr.codecs.blosc, zarr.codecs.zstd):
    _module.asyncio = SimpleNamespace(**vars(asyncio) | {"to_thread": _in_this_thread})

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
# Who computes neighbours or a UMAP: each process that does compiles it first, for a dozen seconds.
COMPILING = (
    "tests/benchmarks/",
    "tests/deepvelo/commands/",
    "tests/deepvelo/datasets/",
    "tests/deepvelo/lineages/",
    "tests/deepvelo/pp/",
    "tests/deepvelo/test_cli.py",
    "tests/deepvelo/test_examples.py",
    "tests/deepvelo/test_notebook.py",
    "tests/deepvelo/test_workflow.py",
    "tests/deepvelo/tl/",
    "tests/pages/test_lineages.py",
    "tests/pages/test_scvelo_runs.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process do all that compiles, where processes share the files of tests."""
    from xdist.scheduler import LoadFileScheduling

    class CompileOnce(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "compiling" if nodeid.startswith(COMPILING) else super()._split_scope(nodeid)

    return CompileOnce(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Keep the imported modules out of garbage collection, which would visit them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def installed_components() -> Iterator[None]:
    """Look for Streamlit components among the installed packages once; every `AppTest` would, for half a second."""
    if "streamlit.testing.v1" not in sys.modules:  # no test here opens a page
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """Give back the main module and the threads of a process, which tests of pages and of jobs change.

    `AppTest` replaces the module by the page: processes that are spawned later would run it. A job takes all cores for
    Torch: threads that wait for each other would take most of the time of later fits.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
    if (torch := sys.modules.get("torch")) and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def rough_rates_umap() -> Iterator[None]:
    """UMAPs of rates in a tenth of their rounds, for tests that look at something else."""
    from deepvelo.tl.rates import rates_embedding

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates_embedding, "UMAP_ROUNDS", rates_embedding.UMAP_ROUNDS // 10)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data; kept beside the checkout, not in it."""
    return _shared("data", "the real data")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder with the known answers of the published objective."""
    return _shared("reference", "the reference cases")


def _shared(name: str, what: str) -> Path:
    folder = SHARED / name
    if folder.is_dir():
        return folder
    reason = f"{what} are not here: ../shared/{name} is missing"
    if os.environ.get("DEEPVELO_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, though this run must use them")
    pytest.skip(reason)


@pytest.fixture
def deepvelo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Exit code of a command, run in this process: ``deepvelo("check", file)``."""
    from deepvelo import cli

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["deepvelo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0)

    return run


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """Let the app find its data and runs in a folder, in which nothing is yet."""
    from app import session
    from app.shared import cached

    with pytest.MonkeyPatch.context() as patch:
        for name in ("data", "runs"):
            (folder / name).mkdir()
            patch.setenv(f"DEEPVELO_{name.upper()}", str(folder / name))
        patch.delenv("DEEPVELO_SCHEDULER", raising=False)
        # a process for each file that a page opens takes a second; tests of inspection start it
        patch.setattr(cached, "inspect", lambda source: None)
        # A message names arrays that the browser has; here each holds all of its own.
        patch.setattr(session, "known_arrays", list)
        yield folder
        cached.jobs().close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server of its own for the app: empty data and run folders; returns the folder with both."""
    with serving(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for the tests of a file that only look at its runs: what one has computed stays in the caches.

    A test that asks for `server` too has that one for itself.
    """
    with serving(tmp_path_factory.mktemp("server")) as folder:
        yield folder


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Store a made-up run: ``made_up_run(folder, name="second", seed=1)``; each kind is written once and copied."""
    from tests.stored import copy_run, save_made_up

    templates = tmp_path_factory.mktemp("made-up")

    @cache
    def template(**content: Any) -> Path:
        return templates / save_made_up(templates, **content)

    def store(
        folder: Path, *, name: str = "made up", data_name: str = "made-up cells", **content: object
    ) -> str:
        return copy_run(template(**content), folder, name=name, data_name=data_name)

    return store


@pytest.fixture(scope="session")
def run_template(tmp_path_factory: pytest.TempPathFactory, made_up_run: Callable[..., str]) -> Path:
    """A small made-up run, with every documented key, made once and copied by `saved_run`."""
    folder = tmp_path_factory.mktemp("template")
    return folder / made_up_run(folder)


@pytest.fixture
def saved_run(server: Path, run_template: Path) -> str:
    """Id of the made-up run, in the run store of `server`."""
    shutil.copytree(run_template, server / "runs" / run_template.name)
    return run_template.name


@pytest.fixture(scope="module")
def shared_run(shared_server: Path, run_template: Path) -> str:
    """Id of the made-up run, in the run store of `shared_server`."""
    shutil.copytree(run_template, shared_server / "runs" / run_template.name)
    return run_template.name


@pytest.fixture(scope="session")
def ring_template(run_template: Path) -> Path:
    """The made-up run with a graph and velocities to score, made once and copied by `ring_run`."""
    from deepvelo.io.runs import RunStore
    from tests.compared import save_ring

    store = RunStore(run_template.parent)
    return store.folder / save_ring(store.open(run_template.name))


@pytest.fixture(scope="module")
def shared_ring(shared_server: Path, ring_template: Path) -> str:
    """Id of that run, in the run store of `shared_server`."""
    shutil.copytree(ring_template, shared_server / "runs" / ring_template.name)
    return ring_template.name


@pytest.fixture
def ring_run(server: Path, ring_template: Path) -> Run:
    """That run, alone in the run store of `server`; its id is that of `shared_ring`."""
    from app.shared import cached

    shutil.copytree(ring_template, server / "runs" / ring_template.name)
    return cached.open_run(ring_template.name)
