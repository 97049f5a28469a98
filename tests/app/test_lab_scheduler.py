"""Jobs on a lab's own scheduler: what they ask its workers for, and how they survive its restart."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import dask
import pytest
from distributed import Client

import tests.lab
from app.background import cluster
from app.background.job_status import RESUBMITTED
from app.background.jobs import NO_WORKER, Jobs, JobStatus
from app.background.resources import GPU, MEMORY
from app.background.workers import security
from deepvelo import config
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from deepvelo.task import TOO_MANY_RESTARTS, state_topic
from tests.lab import Lab, quick, tiny

cloudpickle.register_pickle_by_value(sys.modules[tests.lab.__name__])  # workers need no tests

LONG = config.replace(Settings(), {"training": {"n_epochs": 5000}})
SHORT = config.replace(Settings(), {"training": {"n_epochs": 30}})
ON_GPU = config.replace(SHORT, {"training": {"device": "cuda"}})
GB = 2**30

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("app.background.connection.RETRY_SECONDS", 0.2)
    monkeypatch.setattr("app.background.jobs.WATCH_SECONDS", 0.2)
    with Lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    return tiny(tmp_path)


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Callable[[], Jobs]]:
    """Another server of the lab each time it is called."""
    started: list[Jobs] = []

    def start() -> Jobs:
        started.append(Jobs(lab.address, tmp_path / "runs", runner=quick))
        return started[-1]

    yield start
    for jobs in started:
        jobs.close()


def wait(jobs: Jobs, job_id: str, until: Callable[[JobStatus], bool], *, seconds: float = 300) -> JobStatus:
    """Ask as a page does, through the time in which nobody answers."""
    end = time.monotonic() + seconds
    status = None
    while time.monotonic() < end:
        try:
            status = next((job for job in jobs.list() if job.job_id == job_id), None)
        except InputError:
            status = None
        if status is not None and until(status):
            return status
        time.sleep(0.05)
    pytest.fail(f"still {status}")


def trains(status: JobStatus) -> bool:
    return len(status.history) > 3


def ended(status: JobStatus) -> bool:
    return not status.active


@pytest.mark.parametrize("who_cancelled_looks", ["first", "last"])
def test_waiting_jobs_come_back_to_a_restarted_scheduler(lab, server, source, who_cancelled_looks):
    first, second = server(), server()
    waiting, dropped = (first.submit(source, SHORT, name=name) for name in ("waiting", "dropped"))
    assert [job.job_id for job in second.list()] == [waiting, dropped]
    first.cancel(dropped)
    lab.kill()
    with pytest.raises(InputError, match=r"cannot be reached.* Running jobs continue when it is back"):
        first.list()
    lab.start_scheduler()
    # both look after them meanwhile, each for itself
    for jobs in (first, second) if who_cancelled_looks == "first" else (second, first):
        again = wait(jobs, waiting, lambda status: True)
        assert (again.state, again.queue_position, again.name) == ("queued", 1, "waiting")
        assert again.message == f"{RESUBMITTED} {NO_WORKER}"
        # the other may have sent it once more: who knows better ends it
        assert wait(jobs, dropped, ended).state == "cancelled"
    first.cancel(waiting)
    assert second.status(waiting).state == "cancelled"
    assert first.status(waiting).message == ""


def test_nobody_needs_to_look(lab, server, source):
    jobs = server()
    job_id = jobs.submit(source, SHORT)
    lab.kill()
    lab.start_scheduler()
    with Client(lab.address, set_as_default=False) as client:
        end = time.monotonic() + 60
        while job_id not in client.list_datasets():
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_job_that_comes_back_too_often_is_given_up(lab, server, source, monkeypatch):
    monkeypatch.setattr("deepvelo.task.MAX_RESTARTS", 1)
    first = server()
    job_id = first.submit(source, LONG)
    for _ in range(2):
        lab.start_worker()
        wait(first, job_id, trains)
        lab.kill()
        lab.start_scheduler()
    status = wait(first, job_id, ended)
    assert (status.state, status.message) == ("failed", TOO_MANY_RESTARTS)
    lab.kill()
    lab.start_scheduler()
    status = wait(first, job_id, ended)  # a failure is told until it is read
    assert (status.state, status.message) == ("failed", TOO_MANY_RESTARTS)
    first.forget(job_id)
    assert first.list() == []


def test_a_running_job_is_done_once_more_and_one_asked_to_end_is_not(lab, server, source, tmp_path):
    first, second = server(), server()
    lab.start_worker("--nthreads", "2")
    kept = first.submit(source, LONG, name="kept")
    wait(second, kept, trains)
    stopped = first.submit(source, LONG, name="stopped")  # two threads must not import the package at once
    wait(second, stopped, trains)
    # the scheduler goes before the worker can tell of the end
    with first._asking() as client:
        first._log(client, stopped, event="cancelling")
    wait(second, stopped, lambda status: status.cancelling)
    lab.kill()
    lab.start_scheduler()
    assert wait(second, stopped, ended).state == "cancelled"
    lab.start_worker("--nthreads", "2")
    again = wait(first, kept, trains)
    assert (again.state, again.message) == ("running", RESUBMITTED)
    assert wait(second, kept, trains).started == again.started
    with first._asking() as client:
        told = {
            job_id: [event["event"] for _, event in client.get_events(state_topic(job_id))]
            for job_id in (kept, stopped)
        }
    assert [event for event in told[kept] if event not in ("fit", "stage")] == [
        "started",
        "restarted",
        "started",
    ]
    assert told[stopped][-1] == "cancelled"
    assert told[stopped].count("started") == 1
    second.cancel(kept)
    assert wait(first, kept, ended).state == "cancelled"
    assert RunStore(tmp_path / "runs").list() == []


def test_jobs_that_do_not_fit_beside_each_other_take_turns(lab, server, source):
    jobs = server()
    lab.start_worker("--nthreads", "2", "--resources", f"MEMORY={10 * GB}")
    while not (place := jobs.place(LONG, memory=6 * GB)).workers:
        time.sleep(0.1)
    assert place.requests == {MEMORY: 6 * GB}
    # two threads must not import the package at once
    assert wait(jobs, jobs.submit(source, SHORT), ended).state == "finished"
    large, small, other = (
        jobs.submit(source, settings, memory=memory * GB)
        for settings, memory in [(LONG, 6), (SHORT, 3), (SHORT, 6)]
    )
    wait(jobs, large, trains)
    assert wait(jobs, small, ended).state == "finished"  # there was room for it
    assert jobs.status(other).state == "queued"
    jobs.cancel(large)
    assert wait(jobs, other, ended).state == "finished"
    with pytest.raises(
        InputError, match=r"about 11.0 GB of memory. The largest connected worker declares 10.0"
    ):
        jobs.submit(source, SHORT, memory=11 * GB)
    assert jobs.submit(source, ON_GPU, memory=GB)  # nobody declares a GPU: as before
    assert jobs._jobs[max(jobs._jobs)].requests == {MEMORY: GB}


def test_a_job_whose_worker_left_says_what_it_waits_for_until_one_joins(lab, server, source):
    jobs = server()
    lab.start_worker("--nthreads", "1", "--resources", f"MEMORY={10 * GB} GPU=1")
    while not jobs.place(ON_GPU, memory=GB).workers:
        time.sleep(0.1)
    busy, waiting = jobs.submit(source, LONG), jobs.submit(source, ON_GPU, memory=GB)
    assert jobs._jobs[waiting].requests == {MEMORY: GB, GPU: 1}
    wait(jobs, busy, trains)
    lab.end_workers()
    assert NO_WORKER in wait(jobs, waiting, lambda status: bool(status.message)).message
    lab.start_worker("--nthreads", "1", "--resources", f"MEMORY={10 * GB}")
    wait(jobs, waiting, lambda status: "No connected worker declares a GPU." in status.message)
    lab.start_worker("--nthreads", "1", "--resources", f"MEMORY={10 * GB} GPU=1")
    assert wait(jobs, waiting, ended).state == "finished"


def test_the_documented_commands_make_a_cluster_that_fits(lab, server, source, tmp_path):
    lab.kill()
    host, port = lab.address.removeprefix("tcp://").split(":")
    text = (tests.lab.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    scheduler, worker = re.findall(r"^dask ((?:scheduler|worker) .*)$", text, flags=re.MULTILINE)[:2]
    here = {"lab1": host, "8786": port}
    lab.start_scheduler([here.get(word, word) for word in shlex.split(scheduler)])
    lab.start_worker(*shlex.split(worker)[2:])
    jobs = server()
    while not (place := jobs.place(ON_GPU, memory=GB)).workers:
        time.sleep(0.1)
    assert place.workers == [{MEMORY: 56e9, GPU: 1.0}]
    done = wait(jobs, jobs.submit(source, ON_GPU, memory=GB), ended)
    assert (done.state, done.requests) == ("finished", {MEMORY: GB, GPU: 1.0})
    assert RunStore(tmp_path / "runs").list()[0].run_id == done.run_id


def test_a_scheduler_with_tls_takes_jobs_from_those_with_its_certificate(tmp_path, source):
    certificate, key = cluster._certificate()
    for name, text in (("lab.pem", certificate), ("lab.key", key)):
        (tmp_path / name).write_text(text)
    pem = str(tmp_path / "lab.pem")
    tls = ("--tls-ca-file", pem, "--tls-cert", pem, "--tls-key", str(tmp_path / "lab.key"))
    settings = tests.lab.tls_settings(security(pem, str(tmp_path / "lab.key")))
    with Lab(tmp_path, tls=tls) as lab:
        lab.start_worker("--nthreads", "1")
        stranger = Jobs(lab.address, tmp_path / "runs", runner=quick)
        with pytest.raises(InputError, match=f"The Dask scheduler {lab.address} cannot be reached"):
            stranger.list()
        stranger.close()
        with dask.config.set(settings):
            jobs = Jobs(lab.address, tmp_path / "runs", runner=quick)
            assert jobs.place(SHORT, memory=GB).warning == ""
            # its worker asks the scheduler for the job's story, as a client
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("app.background.connection.RETRY_SECONDS", 0.2)
                assert wait(jobs, jobs.submit(source, SHORT), ended).state == "finished"
            jobs.close()


def test_tls_without_a_certificate_is_one_sentence(tmp_path):
    jobs = Jobs("tls://127.0.0.1:1", tmp_path)
    with pytest.raises(InputError, match=r"The Dask scheduler tls://127.0.0.1:1 cannot be reached\."):
        jobs.list()
    jobs.close()
