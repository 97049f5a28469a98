"""A killed training resumes from its checkpoint and ends as if nothing had happened."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from deepvelo import config
from deepvelo.arrays.on_disk import ColumnWriter
from deepvelo.config import Settings
from deepvelo.model import preparation
from deepvelo.model.large_data import checkpoint as module
from deepvelo.model.large_data.checkpoint import Checkpoint
from deepvelo.model.loss import Terms
from deepvelo.model.training import Fit, train

FEW = {
    "preparation": {"n_components": 5},
    "graph": {"n_neighbors": 4, "n_candidates": 6},
    "training": {"n_epochs": 9, "device": "cpu"},
}
SETTINGS = config.replace(config.Settings(), FEW)
BATCHES = config.replace(SETTINGS, {"training": {"batch_cells": 32}})
KINDS: dict[str, tuple[Settings, dict[str, Any]]] = {
    "default": (SETTINGS, {}),
    "batches": (BATCHES, {}),
    "dropout in batches": (BATCHES, {"dropout": 0.3}),
    "reassigned now and then": (SETTINGS, {"reassign_every": 4}),
    "assigned once in all genes": (SETTINGS, {"continuity": "genes"}),
    "published": (config.replace(config.PUBLISHED, FEW), {}),
}


class Killed(Exception):
    """The process is gone."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(module, "MOST_OF_THE_TIME", 1e9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".training"


def moments(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells along an induction, with noise: u and s from the closed form of Eq. 1."""
    time = torch.linspace(0.05, 4, 120)[:, None]
    alpha, gamma = torch.linspace(1, 5, 8), torch.linspace(0.3, 0.8, 8)
    unspliced = alpha * (1 - torch.exp(-time))
    spliced = alpha / gamma * (1 - torch.exp(-gamma * time)) + alpha / (gamma - 1) * (
        torch.exp(-gamma * time) - torch.exp(-time)
    )
    generator = torch.Generator().manual_seed(seed)
    return tuple(values + 0.1 * torch.rand(120, 8, generator=generator) for values in (spliced, unspliced))


def until(last: int, path: Path, settings: Settings, data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Train and be killed in the next epoch."""

    def on_epoch(epoch: int, terms: Terms) -> None:
        if epoch > last:
            raise Killed

    with pytest.raises(Killed):
        train(*data, settings=settings, on_epoch=on_epoch, checkpoint=Checkpoint(path))


def same(fit: Fit, other: Fit) -> bool:
    """To the last bit, as text: what is not known is then the same too."""
    alike = fit.weights.keys() == other.weights.keys() and str(fit.history) == str(other.history)
    return alike and all(torch.equal(fit.weights[name], other.weights[name]) for name in fit.weights)


@pytest.mark.parametrize("last", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(path: Path, kind: str, last: int) -> None:
    settings, fixed = KINDS[kind]
    resumed, told = [], []
    with config.ablation(**fixed):
        expected = train(*moments(), settings=settings)
        until(last, path, settings, moments())
        torch.rand(7)  # another process has drawn other numbers
        fit = train(
            *moments(),
            settings=settings,
            on_epoch=lambda epoch, terms: told.append(epoch),
            checkpoint=Checkpoint(path, on_resume=lambda *where: resumed.append(where)),
        )
    assert [epoch for epoch, _ in resumed] == [last]
    assert told == list(range(last + 1, len(expected.history) + 1))
    assert same(fit, expected)
    assert torch.equal(fit.hidden, expected.hidden)


def test_moments_on_disk_resume_too_and_nothing_is_left_beside_them(path: Path) -> None:
    settings = BATCHES
    expected = train(*moments(), settings=settings)
    folder = path.parent / "moments"
    folder.mkdir()
    data = []
    for name, values in zip("su", moments(), strict=True):
        with ColumnWriter(folder / name) as file:
            file.add(values)
        data.append(file.values())
    until(3, path, settings, tuple(data))
    assert sorted(left.name for left in folder.iterdir()) == ["s", "u"]
    resumed = []
    checkpoint = Checkpoint(path, on_resume=lambda *where: resumed.append(where[0]))
    assert same(train(*data, settings=settings, checkpoint=checkpoint), expected)
    assert resumed == [3]


def test_targets_assigned_before_training_are_not_assigned_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(2, path, SETTINGS, moments())
    monkeypatch.setattr(preparation, "assign_targets", lambda *_, **__: pytest.fail("assigned again"))
    assert len(train(*moments(), settings=SETTINGS, checkpoint=Checkpoint(path)).history) == 9


def test_a_training_killed_twice_goes_on_twice(path: Path) -> None:
    expected = train(*moments(), settings=BATCHES)
    for last in (2, 5):
        until(last, path, BATCHES, moments())
    assert same(train(*moments(), settings=BATCHES, checkpoint=Checkpoint(path)), expected)


def scaled() -> tuple[torch.Tensor, torch.Tensor]:
    spliced, unspliced = moments()
    return spliced * 1.01, unspliced


def permuted() -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    return tuple(values[order] for values in moments())


@pytest.mark.parametrize(
    ("settings", "data"),
    [
        (config.replace(SETTINGS, {"seed": 1}), moments()),
        (config.replace(SETTINGS, {"training": {"n_epochs": 10}}), moments()),
        (SETTINGS, moments(seed=1)),
        (SETTINGS, scaled()),
        (SETTINGS, permuted()),
        (SETTINGS, tuple(values[:100] for values in moments())),
        (SETTINGS, tuple(values[:, :7] for values in moments())),
    ],
    ids=["seed", "epochs", "noise", "scale", "order", "cells", "genes"],
)
def test_a_checkpoint_of_another_fit_is_left_aside_and_replaced(
    path: Path, caplog: pytest.LogCaptureFixture, settings: Settings, data: tuple[torch.Tensor, torch.Tensor]
) -> None:
    expected = train(*data, settings=settings)
    until(3, path, SETTINGS, moments())
    assert same(train(*data, settings=settings, checkpoint=Checkpoint(path)), expected)
    assert "is of other data, settings or versions" in caplog.text
    assert Checkpoint(path).load(*data, settings=settings)


def test_data_prepared_again_may_differ_by_rounding(path: Path) -> None:
    until(3, path, SETTINGS, moments())
    spliced, unspliced = moments()
    assert Checkpoint(path).load(spliced * (1 + 1e-6), unspliced, settings=SETTINGS)


@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "text", "other file"])
def test_a_damaged_checkpoint_is_left_aside(
    path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    expected = train(*moments(), settings=SETTINGS)
    until(3, path, SETTINGS, moments())
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-9] ^= 1
    path.write_bytes(
        {
            "empty": b"",
            "half": whole[: len(whole) // 2],
            "one bit": bytes(flipped),
            "text": b"not a checkpoint",
            "other file": save({"w": torch.ones(2)}),
        }[damage]
    )
    assert same(train(*moments(), settings=SETTINGS, checkpoint=Checkpoint(path)), expected)
    assert "is damaged and ignored" in caplog.text


def test_a_full_disk_stops_nothing_and_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(*moments(), settings=SETTINGS)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    written = []
    checkpoint = Checkpoint(path, on_save=written.append)
    assert same(train(*moments(), settings=SETTINGS, checkpoint=checkpoint), expected)
    assert caplog.text.count("No space left on device") == 1
    assert (written, list(path.parent.iterdir())) == ([], [])


def test_a_killed_write_leaves_the_older_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    until(3, path, SETTINGS, moments())
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        train(*moments(), settings=SETTINGS, checkpoint=Checkpoint(path))
    monkeypatch.undo()
    resumed = []
    checkpoint = Checkpoint(path, on_resume=lambda *where: resumed.append(where))
    train(*moments(), settings=SETTINGS, checkpoint=checkpoint)
    assert resumed == [(3, 9)]


def test_short_trainings_write_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 30.0)
    train(*moments(), settings=SETTINGS, checkpoint=Checkpoint(path))
    assert not path.exists()


def test_a_slow_disk_is_written_to_less_often(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes of 10 s, writing takes 4: at most a twentieth of the time, so 80 s go by until the next."""
    now = 0.0
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 30.0)
    monkeypatch.setattr(module, "MOST_OF_THE_TIME", 0.05)
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    write = Checkpoint._write

    def slowly(*args: object) -> None:
        nonlocal now
        write(*args)
        now += 4

    def on_epoch(epoch: int, terms: Terms) -> None:
        nonlocal now
        now += 10

    monkeypatch.setattr(Checkpoint, "_write", slowly)
    written = []
    settings = config.replace(SETTINGS, {"training": {"n_epochs": 20}})
    train(
        *moments(), settings=settings, on_epoch=on_epoch, checkpoint=Checkpoint(path, on_save=written.append)
    )
    assert written == [3, 11, 19]


def test_removed_with_what_killed_writes_left(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    until(3, path, SETTINGS, moments())
    path.with_name(f"{path.name}.0123abcd.part").write_bytes(b"half")
    other = path.with_name(".other.training")
    other.write_bytes(b"")
    for _ in range(2):  # once more changes nothing
        Checkpoint(path).remove()
        assert list(path.parent.iterdir()) == [other]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
