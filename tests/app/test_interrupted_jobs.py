"""Jobs whose server, worker or machine sleeps or is killed: real processes, stopped and ended by signals."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from deepvelo import task
from deepvelo.io.runs import RunStore
from tests.serving_jobs import Standing, serving

pytestmark = pytest.mark.slow

SLEEP_SECONDS = (
    8  # the scheduler would give a worker up for dead after 5 s, Dask's least, and looks every second
)


def train(jobs: Standing) -> bool:
    return jobs[0]["epochs"] > 5


def all_ended(jobs: Standing) -> bool:
    return bool(jobs) and not {job["state"] for job in jobs} & {"queued", "running"}


def started(folder: Path) -> list[int]:
    """How often each job was started, in the order they were asked for."""
    paths = sorted((folder / "runs" / ".jobs").glob("*.jsonl"))
    return [path.read_text().count('"event": "started"') for path in paths]


@pytest.mark.parametrize(
    "asleep", [("server", "nanny", "worker"), ("worker",), ("nanny",), ("server",)], ids="+".join
)
def test_sleep_is_not_death(tmp_path, asleep):
    with serving(tmp_path, 400, 5, worker_ttl="1 s") as server:
        server.wait(train)
        processes = [server.processes()[name] for name in asleep]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        time.sleep(SLEEP_SECONDS)
        for process in processes:
            process.send_signal(signal.SIGCONT)
        jobs = server.wait(all_ended)
    assert [(job["state"], job["message"]) for job in jobs] == [("finished", "")] * 2
    assert started(tmp_path) == [1, 1]


def test_the_queue_goes_on_in_order_after_the_server_was_killed(tmp_path):
    with serving(tmp_path, 300, 5, 6) as server:
        server.wait(train)
        server.kill()
    with serving(tmp_path) as server:
        jobs = server.wait(lambda jobs: len(jobs) == 3)
        assert [job["name"] for job in jobs] == ["0", "1", "2"]
        jobs = server.wait(all_ended)
        assert [job["state"] for job in jobs] == ["finished"] * 3
    assert started(tmp_path) == [2, 1, 1]
    runs = {info.run_id: info.created for info in RunStore(tmp_path / "runs").list()}
    assert len(runs) == 3
    assert sorted(runs.values()) == [runs[job["run_id"]] for job in jobs]  # in the order they were asked for
    with serving(tmp_path) as server:  # how they ended is known still
        assert [job["state"] for job in server.wait(all_ended)] == ["finished"] * 3


def test_a_fit_that_was_stored_before_the_server_died_is_not_fitted_again(tmp_path):
    with serving(tmp_path, 5) as server:
        (job,) = server.wait(all_ended)
    (entry,) = (tmp_path / "runs" / ".jobs").glob("*.jsonl")
    lines = entry.read_text().splitlines(keepends=True)
    entry.write_text("".join(line for line in lines if '"finished"' not in line))
    with serving(tmp_path) as server:
        (again,) = server.wait(all_ended)
    assert (again["state"], again["run_id"]) == ("finished", job["run_id"])
    assert started(tmp_path) == [1]
    assert len(RunStore(tmp_path / "runs").list()) == 1


def test_a_job_that_kills_its_worker_twice_is_given_up_and_the_queue_goes_on(tmp_path):
    with serving(tmp_path, 2000, 5) as server:
        for deaths in (1, 2):
            server.wait(train)
            worker = server.processes()["worker"]
            worker.kill()
            if deaths == 1:
                server.wait(lambda _: started(tmp_path)[0] == 2)
        jobs = server.wait(all_ended)
    assert [job["state"] for job in jobs] == ["failed", "finished"]
    assert jobs[0]["message"] == task.WORKER_DIED


def test_jobs_of_a_living_server_are_not_taken(tmp_path):
    with serving(tmp_path, 400) as living:
        living.wait(train)
        with serving(tmp_path) as other:
            assert other.wait(lambda _: True) == []
        (job,) = living.wait(all_ended)
    assert job["state"] == "finished"
    assert started(tmp_path) == [1]


def test_a_job_asked_to_end_does_not_come_back(tmp_path):
    with serving(tmp_path, 2000) as server:
        server.wait(train)
        server.kill()
    (entry,) = (tmp_path / "runs" / ".jobs").glob("*.jsonl")
    with entry.open("a") as journal:
        journal.write(json.dumps({"event": "cancelling", "time": 1.0}) + "\n")
    with serving(tmp_path) as server:
        (job,) = server.wait(all_ended)
    assert job["state"] == "cancelled"
    assert started(tmp_path) == [1]
    shutil.rmtree(tmp_path / "runs" / ".jobs")
    assert RunStore(tmp_path / "runs").list() == []
