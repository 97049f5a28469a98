from __future__ import annotations

from pathlib import Path

import pytest

from app.background.job_status import RESUBMITTED, from_events
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.task import Job

STARTED = (1.0, {"event": "started", "worker": "w"})


def job(**more: object) -> Job:
    return Job(
        job_id="j", name="", source=DataSource(kind="sample"), settings=Settings(), cluster_key=None, basis=None,
        store_folder=Path(), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([], RESUBMITTED),
        ([STARTED], RESUBMITTED),
        ([STARTED, (2.0, {"event": "failed", "message": "No."})], "No."),
        ([STARTED, (2.0, {"event": "finished", "run_id": "r"})], ""),
        ([(2.0, {"event": "cancelled"})], ""),
    ],
)
def test_a_job_that_was_sent_again_says_so_until_it_ends(states, message):
    sent_again = [(0.5, {"event": "restarted"}), *states]
    assert from_events(job(), sent_again, []).message == message
    assert from_events(job(), states, []).message == message.replace(RESUBMITTED, "")


def test_a_job_sent_again_waits_anew():
    status = from_events(job(), [STARTED, (2.0, {"event": "restarted"})], [])
    assert (status.state, status.worker, status.started) == ("queued", None, 1.0)


def test_a_job_asked_to_end_is_known_as_such_while_it_goes_on():
    status = from_events(job(), [STARTED, (2.0, {"event": "cancelling"})], [])
    assert (status.state, status.cancelling) == ("running", True)
    assert not from_events(job(), [STARTED], []).cancelling


def test_what_it_asks_for_is_told():
    assert from_events(job(requests={"MEMORY": 5.0}), [], []).requests == {"MEMORY": 5.0}
