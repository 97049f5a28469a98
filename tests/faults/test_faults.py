"""Killed at random moments: the command, a fit that saves its run, the server, the process of the workers, the worker."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deepvelo import task
from deepvelo.io import read
from deepvelo.io.runs import RunStore
from tests import bad_input
from tests.faults.killed import contents, leftovers, require_kept
from tests.fuzz.forks import Ended, Forks
from tests.serving_jobs import Server, Standing, serving

pytestmark = pytest.mark.slow

MOMENTS = 12
KILLS = 3  # of each process
UNDER_WAY = {"queued", "running"}
EPOCHS = (3, 9, 5, 14, 7, 4)  # of the jobs in a queue, of 20 ms each: as long as saving takes


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("said")) as forks:
        yield forks


class Moments:
    """Times to kill at, one at random in each part of the time that the whole work takes.

    Where the machine becomes less busy, the work that was not killed says how long it takes now.
    """

    def __init__(self, whole: Ended, *, seed: int) -> None:
        self._seconds, self._rng = whole.seconds, random.Random(seed)
        self.killed = 0

    def __iter__(self) -> Iterator[float]:
        for part in range(MOMENTS):
            yield (part + self._rng.random()) * self._seconds / MOMENTS

    def saw(self, ended: Ended) -> None:
        """Take note of how the work went."""
        self.killed += ended.code == -9
        if ended.code == 0:
            self._seconds = min(self._seconds, ended.seconds)


def test_an_output_is_the_old_or_the_new(forks: Forks, tmp_path: Path):
    bad_input.written()(tmp_path / "good.h5ad")
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "fitted.h5ad"
    shutil.copyfile(tmp_path / "good.h5ad", output)
    words = ["run", str(tmp_path / "good.h5ad"), "-o", str(output)]
    n_old = 0
    whole = forks.do("fit", ["run", str(tmp_path / "good.h5ad"), "-o", str(tmp_path / "first.h5ad")])
    assert whole.code == 0, whole.stderr
    for moment in (moments := Moments(whole, seed=0)):
        moments.saw(forks.do("fit", words, killed_after=moment))
        found = read(output)
        n_old += "velocity" not in found.layers
        assert found.shape == (bad_input.N_CELLS, bad_input.N_GENES)
    assert moments.killed > MOMENTS / 2
    assert n_old  # else it was never killed before the end
    assert forks.do("fit", words).code == 0
    assert "velocity" in read(output).layers
    assert [path.name for path in folder.iterdir()] == [output.name]


def test_a_run_is_saved_whole_or_not_at_all(forks: Forks, tmp_path: Path):
    store = RunStore(tmp_path / "runs")
    whole = forks.do("save", str(store.folder), 0)
    assert whole.code == 0, whole.stderr
    before = contents(store)
    moments = Moments(whole, seed=1)
    for seed, moment in enumerate(moments, start=1):
        moments.saw(forks.do("save", str(store.folder), seed, killed_after=moment))
        after = contents(store)
        require_kept(before, after)
        assert len(after) <= len(before) + 1
        before = after
    assert moments.killed > MOMENTS / 2
    assert forks.do("save", str(store.folder), 99).code == 0
    assert len(contents(store)) == len(before) + 1
    assert not leftovers(store)


def all_ended(jobs: Standing) -> bool:
    return bool(jobs) and not {job["state"] for job in jobs} & UNDER_WAY


def require_jobs_and_runs_agree(jobs: Standing, folder: Path) -> None:
    """Every job has finished, with a run of its own, and there is no other run; one whose worker died twice is given up."""
    assert len(jobs) == len(EPOCHS)
    finished = [job for job in jobs if job["state"] == "finished"]
    given_up = [job for job in jobs if (job["state"], job["message"]) == ("failed", task.WORKER_DIED)]
    assert len(finished) + len(given_up) == len(jobs), jobs
    assert len(given_up) <= KILLS / 2
    store = RunStore(folder / "runs")
    assert sorted(contents(store)) == sorted(str(job["run_id"]) for job in finished)
    assert not leftovers(store)


def kill_at_random(server: Server, which: str, rng: random.Random) -> None:
    """Wait until another job has ended, then for a part of the next one."""
    ended = sum(job["state"] not in UNDER_WAY for job in server.jobs)
    most = len(EPOCHS) - 2
    server.wait(lambda jobs: sum(job["state"] not in UNDER_WAY for job in jobs) >= min(ended + 1, most))
    time.sleep(rng.uniform(0, 0.6))
    for _ in range(1000):
        with suppress(StopIteration, psutil.NoSuchProcess):  # one that died is being started again
            server.processes()[which].kill()
            return
        time.sleep(0.05)
    pytest.fail(f"there is no {which} any more")


@pytest.mark.parametrize("which", ["worker", "nanny"])
def test_jobs_outlive_their_workers(tmp_path: Path, which: str):
    rng, store = random.Random(which), RunStore(tmp_path / "runs")
    with serving(tmp_path, *EPOCHS) as server:
        before = contents(store)
        for _ in range(KILLS):
            kill_at_random(server, which, rng)
            after = contents(store)
            require_kept(before, after)
            before = after
        require_jobs_and_runs_agree(server.wait(all_ended), tmp_path)


def test_jobs_outlive_their_server(tmp_path: Path):
    rng, store = random.Random("server"), RunStore(tmp_path / "runs")
    before = contents(store)
    for start in range(KILLS):
        with serving(tmp_path, *(() if start else EPOCHS)) as server:
            kill_at_random(server, "server", rng)
        after = contents(store)
        require_kept(before, after)
        before = after
    with serving(tmp_path) as server:
        require_jobs_and_runs_agree(server.wait(all_ended), tmp_path)
