"""Jobs: when they are given up, how the journal holds them, and reports few enough for a scheduler to keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepvelo import config, task
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import CancelledError
from deepvelo.lineages import LineageSettings
from deepvelo.result import Progress
from deepvelo.task import (
    MAX_TRAINING_REPORTS,
    TOO_MANY_RESTARTS,
    WORKER_DIED,
    Job,
    Reporter,
    from_request,
    to_request,
    why_given_up,
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(task, "SECONDS_BETWEEN_REPORTS", 0.0)
    return []


def train(report: Reporter, n_epochs: int) -> None:
    report(Progress(step="prepare"))
    for epoch in range(1, n_epochs + 1):
        report(Progress(step="train", epoch=epoch, n_epochs=n_epochs, terms={"total": 1 / epoch}))
    report(Progress(step="graph"))


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("", ""),
        ("start", ""),  # killed once, at any stage: once more
        ("start prepare", ""),
        ("start prepare start prepare", WORKER_DIED),
        ("start prepare start prepare train", ""),
        ("start prepare train start prepare", WORKER_DIED),
        ("start prepare train 3", ""),
        ("start prepare train 3 start prepare train", WORKER_DIED),
        ("start prepare train 3 start prepare train 5", ""),
        ("start prepare train 3 start prepare train 3", WORKER_DIED),  # the file could not be read
        ("start prepare train 3 start prepare train 5 start prepare train 4", WORKER_DIED),
        ("start prepare train 3 start prepare train 5 graph start prepare train 7 graph", WORKER_DIED),
        ("start prepare train start prepare train start prepare train graph", ""),
        ("restarted restarted restarted restarted restarted", ""),  # it was never at work
        ("start restarted start", ""),  # one death of its own
        ("start restarted start start", WORKER_DIED),
        ("start restarted start restarted start restarted start", ""),
        ("start restarted start restarted start restarted start restarted", TOO_MANY_RESTARTS),
        ("start restarted start restarted start restarted start prepare restarted", ""),
    ],
)
def test_a_job_is_given_up_when_it_gets_no_further(story: str, expected: str) -> None:
    def event(word: str) -> dict[str, Any]:
        if word.isdigit():
            return {"event": "checkpoint", "epoch": int(word)}
        if word in ("start", "restarted"):
            return {"event": "started" if word == "start" else word}
        return {"event": "stage", "stage": word}

    assert why_given_up([event(word) for word in story.split()]) == expected


def test_a_job_comes_back_from_the_journal_as_it_was(tmp_path: Path) -> None:
    job = Job(
        job_id="j",
        name="näme",
        source=DataSource("file", path="a\udcff.h5ad", more=("b.h5ad",)),
        settings=config.replace(Settings(), {"method": "dynamical"}),
        cluster_key="clusters",
        basis=None,
        store_folder=tmp_path,
        requests={"MEMORY": 5.0},
        lineages=LineageSettings(cluster_key="clusters", terminal=("a", "b")),
        owner="1234",
    )
    text = json.dumps(to_request(job))
    assert from_request(json.loads(text), store_folder=tmp_path) == job


@pytest.mark.parametrize(
    "damage",
    [{"job_id": 5}, {"source": None}, {"source": {"kind": "file"}}, {"source": {"kind": "file", "path": 5}},
     {"settings": {"graph": "x"}}, {"settings": {"unknown": 1}}, {"purpose": "x"}, {"lineages": {}}, {"requests": {"a": "b"}}],
)  # fmt: skip
def test_a_damaged_request_is_no_job(tmp_path: Path, damage: dict[str, Any]) -> None:
    job = Job(
        job_id="j", name="", source=DataSource("sample"), settings=Settings(), cluster_key=None, basis=None,
        store_folder=tmp_path,
    )  # fmt: skip
    assert from_request(to_request(job), store_folder=tmp_path) == job
    assert from_request(to_request(job) | damage, store_folder=tmp_path) is None
    assert from_request(damage, store_folder=tmp_path) is None


@pytest.mark.parametrize("n_epochs", [1, 20, 299, 301, 1500, 20_000])
def test_however_many_epochs_reports_are_few_and_whole(told: list[dict[str, Any]], n_epochs: int) -> None:
    train(Reporter(lambda **event: told.append(event), cancelled=lambda: False), n_epochs)
    records = [record for event in told for record in event["records"]]
    epochs = [record["epoch"] for record in records if record["step"] == "train"]
    assert epochs == list(range(1, n_epochs + 1))
    assert [records[0]["step"], records[-1]["step"]] == ["prepare", "graph"]
    assert len(told) <= min(n_epochs, MAX_TRAINING_REPORTS) + 3


def test_the_first_epoch_is_told_at_once(told: list[dict[str, Any]]) -> None:
    report = Reporter(lambda **event: told.append(event), cancelled=lambda: False)
    report(Progress(step="prepare"))
    report(Progress(step="train", epoch=1, n_epochs=50_000, terms={"total": 1.0}))
    assert [record["epoch"] for event in told for record in event["records"]] == [0, 1]


def test_short_epochs_share_a_report(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "SECONDS_BETWEEN_REPORTS", 3600.0)
    train(Reporter(lambda **event: told.append(event), cancelled=lambda: False), 200)
    assert [len(event["records"]) for event in told] == [1, 1, 200]


def test_a_cancelled_fit_tells_what_waited(told: list[dict[str, Any]]) -> None:
    asked = iter([False] * 51)
    report = Reporter(lambda **event: told.append(event), cancelled=lambda: next(asked, True))
    with pytest.raises(CancelledError):
        train(report, 20_000)
    assert [record["epoch"] for event in told for record in event["records"]] == list(range(51))
