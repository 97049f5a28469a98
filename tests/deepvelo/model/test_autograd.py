"""Training on the loss as written, and what a new term in it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepvelo import config
from deepvelo.errors import InputError
from deepvelo.model import loss
from deepvelo.model.autograd import AutogradObjective
from deepvelo.model.large_data.checkpoint import Checkpoint
from deepvelo.model.large_data.parallel import ProcessGroup
from deepvelo.model.training import train
from tests.deepvelo.model.large_data.test_blocks import WEIGHTS, sample, small_problem
from tests.deepvelo.model.test_training import FEW, SETTINGS, changed, moving_cells

PUBLISHED = config.replace(config.PUBLISHED, FEW)


@pytest.fixture
def autograd(monkeypatch):
    monkeypatch.setattr(loss, "AUTOGRAD", True)


def noisy_cells(n_cells):
    noise = torch.rand(n_cells, 8, generator=torch.Generator().manual_seed(0))
    return [values + 0.1 * noise for values in moving_cells(n_cells)]


@pytest.mark.parametrize(
    ("settings", "n_cells", "fixed"),
    [
        (SETTINGS, 60, {}),
        (changed(batch_cells=40), 120, {}),
        (SETTINGS, 60, {"continuity": "genes", "reassign_every": 2}),
        (PUBLISHED, 60, {}),
        (config.replace(PUBLISHED, {"training": {"batch_cells": 40}}), 120, {}),
    ],
    ids=["default", "default in batches", "in genes", "published", "published in batches"],
)
def test_training_is_the_same_as_in_blocks(monkeypatch, settings, n_cells, fixed):
    with config.ablation(settings.preset, **fixed):
        blocked = train(*noisy_cells(n_cells), settings=settings)
        monkeypatch.setattr(loss, "AUTOGRAD", True)
        written = train(*noisy_cells(n_cells), settings=settings)
    assert len(written.history) == len(blocked.history)
    for found, expected in zip(written.history[:3], blocked.history[:3], strict=True):
        assert found["total"] == pytest.approx(expected["total"], rel=1e-4)
    assert list(written.history[0]) == list(blocked.history[0])
    for found, expected in zip(written.rates(), blocked.rates(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3, equal_nan=True)


@pytest.mark.usefixtures("autograd")
@pytest.mark.parametrize("preset", [SETTINGS, PUBLISHED], ids=["default", "published"])
def test_a_term_added_to_the_loss_is_trained_on_and_is_in_the_history(monkeypatch, preset):
    as_written = loss.objective

    def with_a_new_term(rates, *args, weight_of_new, **options):
        terms = as_written(rates, *args, **options)
        terms["size_of_gamma"] = rates.gamma.square().mean()
        return terms | {"total": terms["total"] + weight_of_new * terms["size_of_gamma"]}

    histories = []
    for weight in (0.0, 10.0):
        monkeypatch.setattr(
            loss, "objective", lambda *args, w=weight, **opt: with_a_new_term(*args, weight_of_new=w, **opt)
        )
        histories.append(train(*moving_cells(), settings=preset).history)
    without, with_it = histories
    assert without[-1]["size_of_gamma"] > 0
    assert with_it[-1]["size_of_gamma"] < 0.9 * without[-1]["size_of_gamma"]
    assert with_it[0]["total"] == pytest.approx(
        without[0]["total"] + 10 * without[0]["size_of_gamma"], rel=1e-4
    )


@pytest.mark.usefixtures("autograd")
def test_no_checkpoint_of_another_loss_is_resumed_or_written(tmp_path, monkeypatch):
    monkeypatch.setattr("deepvelo.model.large_data.checkpoint.SECONDS_BETWEEN", 0.0)
    train(*moving_cells(), settings=SETTINGS, checkpoint=Checkpoint(tmp_path / "training"))
    assert list(tmp_path.iterdir()) == []


def test_several_processes_are_refused():
    blocked, rates = small_problem(config.VARIANTS["default"])
    objective = AutogradObjective(
        blocked.spliced,
        blocked.unspliced,
        blocked.targets,
        correlation_weights=WEIGHTS,
        variant=blocked.variant,
    )
    with pytest.raises(InputError, match="single process"):
        objective.backward(rates, rates.values, sample(objective), weight=1.0, group=ProcessGroup(size=2))


# What CONTRIBUTING tells a newcomer to change in `deepvelo/model/loss.py`.
EDITS = {
    "AUTOGRAD = False": "AUTOGRAD = True",
    "    # A new term goes here": '    terms["size_of_gamma"] = rates.gamma.square().mean()\n    # A new term goes here',
    'weight * terms["direction"]}': 'weight * terms["direction"] + terms["size_of_gamma"]}',
}
FIT = """
import json
from deepvelo import config, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.pl.training_curve import training_curve
told = []
settings = config.replace(config.Settings(), {"training": {"n_epochs": 2, "device": "cpu"}})
cells = simulate(kind="linear", n_cells=150, n_genes=60, depth=2000, seed=0)
history = workflow.run(cells, settings, on_progress=told.append).history
terms = [list(progress.terms) for progress in told if progress.epoch == 2]
print(json.dumps([terms[0], [trace.name for trace in training_curve(history).data]]))
"""


@pytest.mark.slow
def test_one_file_is_edited_and_the_curve_shows_the_term(tmp_path):
    package = Path(loss.__file__).parents[1]
    shutil.copytree(package, tmp_path / "deepvelo", ignore=shutil.ignore_patterns("__pycache__"))
    edited = tmp_path / "deepvelo" / "model" / "loss.py"
    text = edited.read_text()
    for before, after in EDITS.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    edited.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, package.parent)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told, drawn = json.loads(done.stdout.splitlines()[-1])
    assert "size_of_gamma" in told
    assert "size_of_gamma" in drawn


def test_the_blocked_loss_is_what_is_shipped():
    assert not loss.AUTOGRAD, "write the gradient of the new term into large_data/blocks.py"
