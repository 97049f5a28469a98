"""Progress reports: few enough for a scheduler to keep, and not one epoch lost."""

from __future__ import annotations

from typing import Any

import pytest

from deepvelo import task
from deepvelo.errors import CancelledError
from deepvelo.result import Progress
from deepvelo.task import MAX_TRAINING_REPORTS, Reporter, goes_on


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
        ([], False),
        (["started"], False),
        (["started", 3], True),
        (["started", 3, "started"], False),
        (["started", 3, "started", "resumed"], False),
        (["started", 3, "started", "resumed", 5], True),
        (["started", 3, "started", 3], False),  # the file could not be read: from the start, and no further
        (["started", 3, "started", 5, "started", 4], False),
    ],
)
def test_a_job_goes_on_while_every_start_gets_further(story: list[str | int], expected: bool) -> None:
    events = [{"event": x} if isinstance(x, str) else {"event": "checkpoint", "epoch": x} for x in story]
    assert goes_on(events) is expected


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
