from __future__ import annotations

import errno
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata
import cloudpickle
import dask
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from distributed import Client

from app.background.job_status import from_events
from app.background.jobs import PREFIX, TO_RESUME, Jobs, JobStatus
from deepvelo import config, keys, task
from deepvelo.config import Settings
from deepvelo.datasets.simulation import simulate
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.journal import Journal
from deepvelo.io.runs import RunStore
from deepvelo.model.large_data.checkpoint import Checkpoint
from deepvelo.result import Progress, Result
from deepvelo.selections import store as selections
from deepvelo.task import Job, to_request
from tests.lab import Lab, keys_of
from tests.queued import Queue

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file

DAY = 24 * 3600
TERMS = {"continuity_future": 2.0, "pearson_u": 0.5}
EVERY_EPOCH = 1600  # this many epochs are quick, and each would be told if it could
LONG = config.replace(Settings(), {"training": {"n_epochs": 2000}})
SHORT = config.replace(Settings(), {"training": {"n_epochs": 30}})


def stand_in(
    adata: Any,
    settings: Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    prepared: bool,
    on_progress: Callable[[Progress], None],
    scratch: Path,
    checkpoint: Checkpoint,
) -> Result:
    """Quick training in the place of `workflow.run`: its epochs take 20 ms and learn nothing."""
    if cluster_key == "unknown":
        raise InputError("Grouping 'unknown' is not in the data. Choose another.")
    if cluster_key == "bug":
        raise ZeroDivisionError("by a bug\nwith details")
    on_progress(Progress(step="prepare"))
    if cluster_key is not None:  # tell the test who works here
        Path(cluster_key).write_text(str(os.getpid()))
    n_epochs = settings.training.n_epochs
    if n_epochs == EVERY_EPOCH:
        task.SECONDS_BETWEEN_REPORTS = 0.0
    for epoch in range(1, n_epochs + 1):
        time.sleep(0 if n_epochs == EVERY_EPOCH else 0.02)
        on_progress(
            Progress(
                step="train", epoch=epoch, n_epochs=n_epochs, terms=TERMS | {"total": np.float32(1 / epoch)}
            )
        )
    on_progress(Progress(step="rates"))
    adata.layers["velocity"] = np.asarray(adata.X, dtype=np.float32)
    adata.uns["deepvelo"] = {"cluster_key": "clusters", "basis": "umap", "versions": "{}"}
    history = pd.DataFrame({"epoch": range(1, n_epochs + 1), "total": 0.0})
    return Result(
        adata=adata,
        history=history,
        weights={"w": torch.ones(2)},
        settings=settings,
        metrics={"threads": torch.get_num_threads()},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def source(folder: Path) -> DataSource:
    adata = anndata.AnnData(np.ones((6, 4), dtype=np.float32))
    adata.layers["spliced"] = adata.layers["unspliced"] = adata.X
    adata.write_h5ad(folder / "tiny.h5ad")
    return DataSource(kind="file", path=str(folder / "tiny.h5ad"))


@pytest.fixture(scope="module")
def jobs(folder: Path) -> Iterator[Jobs]:
    jobs = Jobs(None, folder / "runs", runner=stand_in)
    jobs._connection.client()
    with keys_of(jobs):  # for other servers of its scheduler
        yield jobs
    jobs.close()


@pytest.fixture
def store(folder: Path) -> RunStore:
    return RunStore(folder / "runs")


def wait(jobs: Jobs, job_id: str, until: Callable[[JobStatus], bool], *, seconds: float = 300) -> JobStatus:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = jobs.status(job_id)
        if until(status):
            return status
        time.sleep(0.02)
    pytest.fail(f"still {status}")


def ended(status: JobStatus) -> bool:
    return not status.active


def trains(status: JobStatus) -> bool:
    return len(status.history) > 3


def test_nothing_runs_before_the_first_job(tmp_path: Path) -> None:
    jobs = Jobs(None, tmp_path)
    assert jobs.list() == []
    with pytest.raises(InputError, match="There is no job 'x'"):
        jobs.status("x")
    jobs.close()


@pytest.mark.parametrize("method", ["submit", "list", "same", "cancel", "forget", "close"])
def test_what_stands_in_for_it_on_the_pages_is_called_alike(method: str) -> None:
    assert inspect.signature(getattr(Queue, method)) == inspect.signature(getattr(Jobs, method))


@pytest.mark.slow
def test_a_job_reports_every_epoch_and_stores_its_run(
    jobs: Jobs, source: DataSource, store: RunStore
) -> None:
    job_id = jobs.submit(source, SHORT, name="first")
    running = wait(jobs, job_id, trains)
    assert running.state == "running"
    assert running.progress.step == "train"
    assert running.progress.n_epochs == 30
    assert 0 < running.seconds_left < 30
    assert time.time() - 60 < running.started < time.time()

    done = wait(jobs, job_id, ended)
    assert done.state == "finished"
    assert done.name == "first"
    assert done.seconds_left is None
    assert [record["epoch"] for record in done.history] == list(range(1, 31))
    assert done.history[-1] == {"epoch": 30, "total": pytest.approx(1 / 30), **TERMS}
    here = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3  # scheduler, nanny, worker
    assert set(listening) == {"127.0.0.1"}, "nothing is open to other machines"
    run = store.open(done.run_id)
    assert run.info.name == "first"
    assert run.info.data_name == "tiny.h5ad"
    assert run.info.data_hash == source.hash()
    assert run.info.settings == SHORT
    assert run.info.metrics["threads"] == os.cpu_count()
    assert store.find(source.hash(), SHORT) == run.info


@pytest.mark.slow
def test_waiting_jobs_know_their_place_and_cancelling_takes_them_out(
    jobs: Jobs, source: DataSource, store: RunStore
) -> None:
    runs = store.list()
    first = jobs.submit(source, LONG, name="first")
    wait(jobs, first, trains)
    second, third = (jobs.submit(source, SHORT, name=name) for name in ("second", "third"))
    waiting = {
        status.job_id: (status.state, status.queue_position) for status in jobs.list() if status.active
    }
    assert waiting == {first: ("running", 0), second: ("queued", 1), third: ("queued", 2)}

    jobs.cancel(second)
    assert jobs.status(second).state == "cancelled"
    assert jobs.status(third).queue_position == 1
    jobs.cancel(first)
    assert wait(jobs, first, ended).state == "cancelled"
    assert wait(jobs, third, ended).state == "finished"
    assert jobs.status(second).state == "cancelled"
    assert len(store.list()) == len(runs) + 1


@pytest.mark.slow
def test_cancelling_stops_within_two_epochs_and_leaves_no_run(
    jobs: Jobs, source: DataSource, store: RunStore
) -> None:
    before = store.list()
    job_id = jobs.submit(source, LONG)
    wait(jobs, job_id, trains)
    jobs.cancel(job_id)
    asked = time.monotonic()
    assert wait(jobs, job_id, ended).state == "cancelled"
    told = [
        record for _, event in jobs._connection.client().get_events(job_id) for record in event["records"]
    ]
    assert len(told) > 3
    assert sum(record["time"] > asked for record in told) <= 2
    assert store.list() == before
    assert [path.name for path in store.folder.iterdir() if path.name.startswith(".")] == [".jobs"]
    jobs.cancel(job_id)  # once more changes nothing
    assert jobs.status(job_id).state == "cancelled"


def test_how_jobs_ended_is_known_after_a_restart_without_starting_processes(tmp_path: Path) -> None:
    job = Job(
        job_id=f"{PREFIX}{5:013d}-x", name="mine", source=DataSource("sample"), settings=SHORT, cluster_key=None,
        basis=None, store_folder=tmp_path, owner="anna",
    )  # fmt: skip
    dead = Journal(tmp_path)
    dead.add(job.job_id, to_request(job))
    dead.tell(job.job_id, event="failed", message="Memory ran out.")
    dead.add(f"{PREFIX}{6:013d}-y", {"settings": "?"})
    (tmp_path / ".jobs" / "broken.jsonl").write_text("[" * 100_000)
    dead.close()
    jobs = Jobs(None, tmp_path)
    failed = {status.job_id: (status.state, status.name, status.owner) for status in jobs.list()}
    assert failed[job.job_id] == ("failed", "mine", "anna")
    assert len(failed) == 3
    assert {state for state, *_ in failed.values()} == {"failed"}
    assert "broken.jsonl" in jobs.status("broken").message
    for job_id in failed:
        jobs.forget(job_id)
    assert jobs.list() == []
    assert not jobs._connection.local.started
    jobs.close()


@pytest.mark.parametrize("seconds", [-2 * DAY, 2 * DAY])
@pytest.mark.slow
def test_a_clock_that_jumps_changes_neither_the_order_nor_what_is_told(
    jobs: Jobs, source: DataSource, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    failed = jobs.submit(source, SHORT, cluster_key="unknown", name=f"before {seconds}")
    wait(jobs, failed, ended)
    at_work = jobs.submit(source, LONG)
    wait(jobs, at_work, trains)
    jumped = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic)
    for name in ("app.background.jobs.time", "deepvelo.io.journal.time"):
        monkeypatch.setattr(name, jumped)
    monkeypatch.setattr("distributed.scheduler.time", jumped.time)
    later = jobs.submit(source, SHORT)
    found = jobs.list()
    assert [status.job_id for status in found][-3:] == [failed, at_work, later]
    assert [status.state for status in found][-3:] == ["failed", "running", "queued"]
    assert found[-2].seconds_left > 0
    assert jobs._connection.local._cluster.scheduler.worker_ttl is None  # a sleeping worker is not dead
    for job_id in (later, at_work):
        jobs.cancel(job_id)
    assert wait(jobs, at_work, ended).state == "cancelled"
    jobs.forget(failed)


@pytest.mark.slow
def test_who_presses_at_once_starts_one_job(jobs: Jobs, source: DataSource) -> None:
    with ThreadPoolExecutor(4) as visitors:
        asked = [
            visitors.submit(jobs.submit, source, LONG, owner=owner)
            for owner in ("anna", "ben", "anna", "eve")
        ]
        ids = {each.result() for each in asked}
    assert len(ids) == 1
    job_id = ids.pop()
    assert [status.job_id for status in jobs.list() if status.active] == [job_id]
    assert jobs.status(job_id).owner in ("anna", "ben", "eve")  # whoever was first
    with ThreadPoolExecutor(2) as clicks:
        list(clicks.map(jobs.cancel, [job_id, job_id]))
    assert wait(jobs, job_id, ended).state == "cancelled"


@pytest.mark.slow
def test_a_store_that_cannot_be_written_is_a_sentence_and_starts_nothing(
    jobs: Jobs, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {status.job_id for status in jobs.list()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"was not started.*No space left"):
        jobs.submit(source, LONG)
    assert {status.job_id for status in jobs.list()} == before


@pytest.mark.slow
def test_what_a_user_can_mend_is_shown_as_it_is(jobs: Jobs, source: DataSource) -> None:
    failed = wait(jobs, jobs.submit(source, SHORT, cluster_key="unknown"), ended)
    assert failed.state == "failed"
    assert failed.message == "Grouping 'unknown' is not in the data. Choose another."
    assert failed.run_id is None
    missing = DataSource(kind="file", path=str(Path(source.path).with_name("missing.h5ad")))
    failed = wait(jobs, jobs.submit(missing, SHORT), ended)
    assert failed.state == "failed"
    assert "missing.h5ad" in failed.message


@pytest.mark.slow
def test_a_control_of_a_run_that_is_gone_says_so_and_leaves_nothing(
    jobs: Jobs, source: DataSource, store: RunStore
) -> None:
    before = store.list()
    failed = wait(jobs, jobs.submit(source, SHORT, purpose="control", base="gone"), ended)
    assert (failed.state, failed.progress.step) == ("failed", "rates")  # found out at the end of the fit
    assert "There is no run 'gone'" in failed.message
    assert store.list() == before


@pytest.mark.slow
def test_a_bug_is_one_sentence(jobs: Jobs, source: DataSource) -> None:
    failed = wait(jobs, jobs.submit(source, SHORT, cluster_key="bug"), ended)
    assert failed.state == "failed"
    assert failed.message == (
        "The job stopped with an unexpected error (ZeroDivisionError: by a bug). The server's log has the details."
    )


@pytest.mark.slow
def test_the_same_job_is_recognised_while_it_runs(jobs: Jobs, source: DataSource) -> None:
    job_id = jobs.submit(source, LONG)
    assert jobs.same(source, LONG).job_id == job_id
    assert jobs.same(source, SHORT) is None
    assert jobs.same(source, LONG, cluster_key="clusters") is None
    jobs.cancel(job_id)
    wait(jobs, job_id, ended)
    assert jobs.same(source, LONG) is None


@pytest.mark.slow
def test_the_story_of_very_many_epochs_is_whole(jobs: Jobs, source: DataSource) -> None:
    """A scheduler keeps 1,000 events of a topic; neither the start nor the first epochs may be pushed out."""
    settings = config.replace(Settings(), {"training": {"n_epochs": EVERY_EPOCH}})
    job_id = jobs.submit(source, settings)
    assert wait(jobs, job_id, trains).state == "running"
    done = wait(jobs, job_id, ended)
    assert (done.state, done.started is None) == ("finished", False)
    assert [record["epoch"] for record in done.history] == list(range(1, EVERY_EPOCH + 1))
    client = jobs._connection.client()
    assert 200 < len(client.get_events(job_id)) < 320
    assert states(jobs, job_id) == ["started", "finished"]


@pytest.mark.slow
def test_a_failure_is_known_to_a_later_server_until_it_is_read(
    jobs: Jobs, source: DataSource, folder: Path
) -> None:
    job_id = jobs.submit(source, SHORT, cluster_key="unknown")
    wait(jobs, job_id, ended)
    client = jobs._connection.client()
    other = Jobs(client.scheduler.address, folder / "runs", runner=stand_in)
    assert other.status(job_id).message.startswith("Grouping 'unknown' is not in the data.")
    other.forget(job_id)
    for server in (other, jobs):
        assert job_id not in {status.job_id for status in server.list()}
    other.close()
    kept = [name for name in client.list_datasets() if job_id in name]
    assert (kept, client.get_events(job_id), client.get_events(task.state_topic(job_id))) == ([], (), ())
    assert job_id not in jobs._jobs.keys() | jobs._ended.keys() | jobs._futures.keys()
    jobs.forget(job_id)  # once more changes nothing


@pytest.mark.slow
def test_ended_jobs_are_let_go_after_a_day_and_others_stay(
    jobs: Jobs, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = jobs.submit(source, SHORT, cluster_key="unknown")
    wait(jobs, old, ended)
    at_work = jobs.submit(source, LONG)
    wait(jobs, at_work, trains)
    jobs.forget(at_work)  # it has not ended
    assert old in {status.job_id for status in jobs.list()}
    monkeypatch.setattr("app.background.jobs.KEPT_SECONDS", 0)
    assert [status.job_id for status in jobs.list()] == [at_work]
    assert [path.stem for path in (jobs._store_folder / ".jobs").glob("*.jsonl")] == [at_work]
    assert [name for name in jobs._connection.client().list_datasets() if old in name] == []
    monkeypatch.undo()
    jobs.cancel(at_work)
    assert wait(jobs, at_work, ended).state == "cancelled"


@pytest.mark.slow
def test_a_job_starts_again_after_the_death_of_its_worker_and_is_given_up_after_a_second(
    jobs: Jobs, source: DataSource, folder: Path, store: RunStore
) -> None:
    before = len(store.list())
    killed = jobs.submit(source, LONG, cluster_key=str(folder / "pid"))
    queued = jobs.submit(source, SHORT)
    wait(jobs, killed, trains)
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    again = wait(jobs, killed, lambda status: status.message == "The worker died; resuming.")
    assert again.active
    wait(jobs, killed, lambda status: states(jobs, killed).count("started") == 2 and trains(status))
    wait(jobs, killed, lambda status: (folder / "pid").stat().st_mtime > again.started + 1)
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    status = wait(jobs, killed, ended)
    assert status.state == "failed"
    assert "worker process died" in status.message
    assert "memory" in status.message
    assert status.history  # the curves stay
    assert wait(jobs, queued, ended).state == "finished"
    assert jobs.status(killed).state == "failed"
    assert len(store.list()) == before + 1


@pytest.mark.slow
def test_a_job_whose_worker_died_waits_for_another_and_can_be_cancelled(
    jobs: Jobs, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = jobs.submit(source, LONG)
    wait(jobs, job_id, trains)
    jobs._connection.client().log_event(task.state_topic(job_id), {"event": "checkpoint", "epoch": 3})
    assert jobs.status(job_id).state == "running"
    monkeypatch.setattr(Client, "nthreads", lambda self: {})
    left = jobs.status(job_id)
    assert (left.state, left.queue_position, left.message) == ("queued", 1, TO_RESUME)
    assert jobs.same(source, LONG).job_id == job_id
    jobs.cancel(job_id)
    assert jobs.status(job_id).state == "cancelled"


class Killed:
    """The real training with a checkpoint after every pass, killed whenever it comes to one of some epochs.

    Parameters
    ----------
    epochs
        A file with them; each is done once.
    """

    def __init__(self, epochs: Path) -> None:
        self.epochs = epochs

    def __call__(
        self,
        adata: Any,
        settings: Settings,
        *,
        on_progress: Callable[[Progress], None],
        checkpoint: Checkpoint,
        **_: Any,
    ) -> Result:
        from deepvelo.model.large_data import checkpoint as module
        from deepvelo.model.training import train

        module.SECONDS_BETWEEN, module.MOST_OF_THE_TIME = 0.0, 1e9

        def on_epoch(epoch: int, terms: dict[str, float]) -> None:
            on_progress(Progress(step="train", epoch=epoch, n_epochs=8, terms=terms))
            to_come = json.loads(self.epochs.read_text())
            if to_come and epoch == to_come[0]:
                self.epochs.write_text(json.dumps(to_come[1:]))
                time.sleep(1)  # what was told is on its way
                os.kill(os.getpid(), signal.SIGKILL)

        on_progress(Progress(step="train"))
        moments = [torch.from_numpy(adata.layers[key]) for key in ("spliced", "unspliced")]
        fit = train(*moments, settings=settings, on_epoch=on_epoch, checkpoint=checkpoint)
        adata.layers["velocity"] = fit.rates().beta.numpy()
        adata.uns["deepvelo"] = {"cluster_key": "clusters", "basis": "umap", "versions": "{}"}
        history = pd.DataFrame({"epoch": range(1, len(fit.history) + 1)}).join(pd.DataFrame(fit.history))
        return Result(adata=adata, history=history, weights=fit.weights, settings=settings, metrics={})


def states(jobs: Jobs, job_id: str) -> list[str]:
    """What happened to a job, in a word or two each."""
    events = jobs._connection.client().get_events(task.state_topic(job_id))
    events = [told for told in events if told[1]["event"] not in ("fit", "stage")]
    return [" ".join(str(event[key]) for key in ("event", "epoch") if key in event) for _, event in events]


@pytest.mark.slow
def test_a_killed_worker_costs_no_more_than_the_epochs_since_the_checkpoint(tmp_path: Path) -> None:
    path, kills = tmp_path / "cells.h5ad", tmp_path / "kills.json"
    time_of_cells = np.linspace(0.1, 3, 150)[:, None]
    unspliced = np.linspace(1, 4, 20) * (1 - np.exp(-time_of_cells))
    adata = anndata.AnnData(np.zeros((150, 20), dtype=np.float32))
    adata.layers["unspliced"] = unspliced.astype(np.float32)
    adata.layers["spliced"] = (unspliced * (1 - np.exp(-0.5 * time_of_cells))).astype(np.float32)
    adata.write_h5ad(path)
    settings = config.replace(Settings(), {"training": {"n_epochs": 9, "batch_cells": 40}})
    data = DataSource(kind="file", path=str(path))
    store, jobs = RunStore(tmp_path / "runs"), Jobs(None, tmp_path / "runs", runner=Killed(kills))

    def done(epochs: list[int]) -> tuple[JobStatus, list[str], set[str]]:
        """A fit killed in these epochs: its end, its story and what the page said meanwhile."""
        kills.write_text(json.dumps(epochs))
        job_id, said = jobs.submit(data, settings), set()

        def is_over(status: JobStatus) -> bool:
            said.add(status.message)
            return ended(status)

        return wait(jobs, job_id, is_over, seconds=900), states(jobs, job_id), said

    undisturbed, story, said = done([])
    assert (story, said) == (["started", "checkpoint 1", "finished"], {""})

    failed, story, said = done([4, 5, 5])  # at last twice at the same place: it would do so again
    assert story == [
        *("started", "checkpoint 1"),
        *("started", "resumed 3", "checkpoint 4"),
        *("started", "resumed 4", "failed"),
    ]
    assert failed.message == task.WORKER_DIED
    assert "The worker died; resuming after epoch 3." in said

    disturbed, story, said = done([7])  # started again by hand, it goes on all the same
    assert story == [
        *("started", "resumed 4", "checkpoint 5"),
        *("started", "resumed 6", "checkpoint 7", "finished"),
    ]
    assert {"Resumed after epoch 4.", "The worker died; resuming after epoch 6."} <= said
    seen = [record["epoch"] for record in disturbed.history]  # one that was not told yet dies with its worker
    assert (seen, seen[0], seen[-1]) == (sorted(set(seen)), 5, 8)
    jobs.close()
    one, other = (store.open(status.run_id) for status in (undisturbed, disturbed))
    for name in ("weights.safetensors", "history.csv"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert [entry.name for entry in store.folder.iterdir() if entry.name.startswith(".training")] == []


@pytest.mark.slow
def test_another_server_finds_the_job_still_going(jobs: Jobs, source: DataSource, folder: Path) -> None:
    job_id = jobs.submit(source, LONG, name="kept")
    seen = len(wait(jobs, job_id, trains).history)
    other = Jobs(jobs._connection.client().scheduler.address, folder / "runs", runner=stand_in)
    found = wait(other, job_id, lambda status: len(status.history) > seen)
    assert (found.state, found.name, found.source, found.settings) == ("running", "kept", source, LONG)
    other.cancel(job_id)
    assert wait(other, job_id, ended).state == "cancelled"
    other.close()
    assert wait(jobs, job_id, ended).state == "cancelled"  # its leaving did not end the first one's view


class OnlyHere:
    """What a worker without the right packages cannot load."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("package_of_another_machine",)


@pytest.mark.slow
def test_a_worker_that_lacks_a_package_fails_the_job_and_lives(
    jobs: Jobs, source: DataSource, folder: Path
) -> None:
    other = Jobs(jobs._connection.client().scheduler.address, folder / "runs", runner=OnlyHere())
    failed = wait(other, other.submit(source, SHORT), ended)
    other.close()
    assert failed.state == "failed"
    assert "No module named 'package_of_another_machine'" in failed.message
    assert "Install the same version of deepvelo" in failed.message
    assert wait(jobs, jobs.submit(source, SHORT), ended).state == "finished"


def test_unreachable_scheduler_is_one_sentence_with_its_address(
    tmp_path: Path, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def connect(address: str, **options: Any) -> Client:
        tried.append(address)
        return Client(address, **options)

    monkeypatch.setattr("app.background.connection.CONNECT_SECONDS", 0.5)
    monkeypatch.setattr("app.background.connection.RETRY_SECONDS", 60)  # however busy the machine
    monkeypatch.setattr("app.background.connection.Client", connect)
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "no such host"):
        jobs = Jobs(address, tmp_path)
        for ask in (jobs.list, lambda jobs=jobs: jobs.submit(source, SHORT)):
            with pytest.raises(InputError, match=f"{address} cannot be reached"):
                ask()
        assert tried.count(address) == 1  # the second answer does not wait for the connection
        jobs.close()


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_one_sentence(tmp_path: Path, source: DataSource) -> None:
    with Lab(tmp_path) as lab:
        jobs = Jobs(lab.address, tmp_path)
        with dask.config.set(
            {"distributed.comm.require-encryption": None}
        ):  # `jobs` of this file asks for it
            job_id = jobs.submit(source, SHORT)
        assert jobs.status(job_id).state == "queued"
        assert "No worker" in jobs.status(job_id).message
    with pytest.raises(InputError, match="cannot be reached"):
        jobs.list()
    jobs.close()


def test_story_of_events() -> None:
    job = Job(
        job_id="j",
        name="",
        source=DataSource(kind="sample"),
        settings=Settings(),
        cluster_key=None,
        basis=None,
        store_folder=Path(),
    )
    assert from_events(job, [], []).state == "queued"
    train = [
        {
            "step": "train",
            "epoch": epoch,
            "n_epochs": 100,
            "terms": {"total": 1.0},
            "unit": "epoch",
            "time": 10.0 + 0.5 * epoch,
        }
        for epoch in (1, 2, 3)
    ]
    started = (1.0, {"event": "started", "worker": "w"})
    progress = [
        (2.0, {"event": "progress", "records": train[:2]}),
        (3.0, {"event": "progress", "records": train[2:]}),
    ]
    status = from_events(job, [started], progress)
    assert (status.state, status.started, len(status.history)) == ("running", 1.0, 3)
    assert status.seconds_left == pytest.approx(97 * 0.5)
    assert from_events(job, [started], []).seconds_left is None
    endings = [(4.0, {"event": "cancelled"}), (5.0, {"event": "finished", "run_id": "r"})]
    status = from_events(job, [started, *endings], progress)
    assert (status.state, status.run_id, status.seconds_left) == ("cancelled", None, None)
    assert (status.started, status.ended, len(status.history)) == (1.0, 4.0, 3)


def test_story_of_a_job_whose_worker_died() -> None:
    job = Job(
        job_id="j", name="", source=DataSource(kind="sample"), settings=Settings(), cluster_key=None, basis=None,
        store_folder=Path(),
    )  # fmt: skip

    def told(when: float, *epochs: int) -> tuple[float, dict[str, Any]]:
        records = [
            {"step": "train", "epoch": epoch, "n_epochs": 8, "terms": {"total": when} if epoch else {},
             "unit": "epoch", "time": when + epoch}
            for epoch in epochs
        ]  # fmt: skip
        return when, {"event": "progress", "records": records}

    first = [(1.0, {"event": "started", "worker": "a"}), (5.0, {"event": "checkpoint", "epoch": 2})]
    second = [(20.0, {"event": "started", "worker": "b"}), (21.0, {"event": "resumed", "epoch": 3})]
    progress = [told(2.0, 0, 1, 2, 3, 4, 5)]
    status = from_events(job, first, progress)
    assert (status.worker, status.given_up, status.message) == ("a", "", "")
    status = from_events(job, [*first, second[0]], progress)
    assert (status.worker, status.given_up, status.message) == (
        "b",
        task.WORKER_DIED,
        "The worker died; resuming.",
    )
    progress.append(told(100.0, 0, 4, 5, 6))
    status = from_events(job, [*first, *second], progress)
    assert (status.state, status.started) == ("running", 1.0)
    assert status.message == "The worker died; resuming after epoch 3."
    assert [(record["epoch"], record["total"]) for record in status.history] == [
        *((1, 2.0), (2, 2.0), (3, 2.0)),
        *((4, 100.0), (5, 100.0), (6, 100.0)),
    ]
    assert status.seconds_left == pytest.approx(2)
    ends = (200.0, {"event": "finished", "run_id": "r"})
    assert from_events(job, [*first, *second, ends], progress).message == ""
    anew = from_events(job, second, progress[1:])
    assert anew.message == "Resumed after epoch 3."


def test_genes_are_told_without_a_curve() -> None:
    job = Job(
        job_id="j", name="", source=DataSource(kind="sample"), cluster_key=None, basis=None, store_folder=Path(),
        settings=config.replace(Settings(), {"method": "dynamical"}), purpose="control", base="run",
    )  # fmt: skip
    genes = [
        {"step": "train", "epoch": done, "n_epochs": 60, "terms": {}, "unit": "gene", "time": 10.0 + done}
        for done in (0, 20, 40)
    ]
    started = (1.0, {"event": "started", "worker": "w"})
    status = from_events(job, [started], [(2.0, {"event": "progress", "records": genes})])
    assert status.progress == Progress(step="train", epoch=40, n_epochs=60, unit="gene")
    assert status.seconds_left == pytest.approx(20.0)
    assert status.history == []
    assert (status.purpose, status.base) == ("control", "run")


@pytest.fixture(scope="module")
def fitting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Jobs that fit: their worker compiles UMAP once for the tests that ask for it."""
    jobs = Jobs(None, tmp_path_factory.mktemp("fitting") / "runs")
    yield jobs
    jobs.close()


@pytest.mark.slow
def test_controls_baselines_and_selected_cells_on_the_data_of_a_run(fitting: Jobs, tmp_path: Path) -> None:
    path = tmp_path / "simulated.h5ad"
    simulate(n_cells=100, n_genes=40, seed=0).write_h5ad(path)
    settings = config.replace(Settings(), {"method": "steady_state"})
    store, jobs = RunStore(fitting._store_folder), fitting
    first = jobs.submit(DataSource(kind="file", path=str(path)), settings, cluster_key="clusters")
    base = store.open(wait(jobs, first, ended).run_id)
    data = {"run": str(base.folder), "shuffled": str(base.folder)}
    stochastic = config.replace(settings, {"method": "stochastic"})
    dynamical = config.replace(settings, {"method": "dynamical"})
    anew = config.replace(settings, {"preparation": {"n_top_genes": 10}})
    tip, few = (
        selections.save(base.folder, name, base.obs.index[:n]) for name, n in (("tip", 60), ("few", 9))
    )
    of_tip = DataSource.of_cells(base.folder, selection=tip.selection_id)
    of_few = DataSource("cells", path=str(base.folder), selection=few.selection_id)
    submitted = {
        "baseline": jobs.submit(DataSource(kind="run", path=data["run"]), stochastic, base=base.info.run_id),
        "control": jobs.submit(
            DataSource(kind="shuffled", path=data["shuffled"]),
            settings,
            purpose="control",
            base=base.info.run_id,
        ),
        "refused": jobs.submit(DataSource(kind="run", path=data["run"]), anew),
        "slow": jobs.submit(DataSource(kind="run", path=data["run"]), dynamical),
        "cells": jobs.submit(of_tip, anew, base=base.info.run_id),
        "few cells": jobs.submit(of_few, settings),
    }
    done = {name: wait(jobs, job_id, ended) for name, job_id in submitted.items()}
    assert [status.state for status in done.values()] == [
        "finished", "finished", "failed", "finished", "finished", "failed",
    ]  # fmt: skip
    assert "ask for another preparation" in done["refused"].message
    assert done["slow"].progress.step == "scores"
    assert done["few cells"].message.startswith("A fit needs at least 31 cells")
    cells = store.open(done["cells"].run_id)
    assert cells.info.data_name == "simulated.h5ad, 60 cells: tip"
    assert (cells.obs.index == base.obs.index[:60]).all()
    assert len(cells.var) < len(base.var)  # as its settings ask
    assert (cells.info.base, cells.info.data_hash) == (base.info.run_id, of_tip.hash())
    baseline, control = (store.open(done[name].run_id) for name in ("baseline", "control"))
    assert (baseline.info.purpose, baseline.info.base) == ("fit", base.info.run_id)
    assert (control.info.purpose, control.info.base) == ("control", base.info.run_id)
    assert baseline.info.data_hash == base.info.data_hash != control.info.data_hash
    assert store.find(base.info.data_hash, stochastic) == baseline.info
    assert control.info.data_name == "simulated.h5ad, shuffled control 0"
    gene = base.var.index[0]
    for layer in (keys.MS, keys.MU):
        assert np.array_equal(baseline.gene(layer, gene), base.gene(layer, gene))
    assert np.array_equal(control.gene(keys.SPLICED, gene), base.gene(keys.SPLICED, gene))
    assert not np.array_equal(control.gene(keys.MU, gene), base.gene(keys.MU, gene))


@pytest.mark.slow
def test_the_real_fit_ends_as_a_run(fitting: Jobs, tmp_path: Path) -> None:
    path = tmp_path / "simulated.h5ad"
    simulate(n_cells=150, n_genes=60, seed=0).write_h5ad(path)
    settings = config.replace(
        Settings(),
        {"training": {"n_epochs": 5}, "preparation": {"n_components": 10}},
    )
    job_id = fitting.submit(DataSource(kind="file", path=str(path)), settings, cluster_key="clusters")
    done = wait(fitting, job_id, ended)
    assert done.state == "finished", done.message
    assert len(done.history) == 5
    run = RunStore(fitting._store_folder).open(done.run_id)
    assert (run.info.cluster_key, run.info.basis) == ("clusters", "umap")
    for layer in (keys.VELOCITY, *keys.RATES):
        assert run.gene(layer, run.var.index[0]).shape == (150,)
