"""A process group as torchrun would start it: ``python tests/process_group.py FUNCTION [ARGUMENT]``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from deepvelo import config
from deepvelo.arrays.on_disk import ColumnWriter
from deepvelo.errors import CancelledError, InputError
from deepvelo.model.large_data import checkpoint
from deepvelo.model.large_data.blocks import BlockedObjective
from deepvelo.model.large_data.parallel import run_main
from deepvelo.model.training import Fit, train
from deepvelo.plan import plan_of

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "preparation": {"n_components": 5},
    "graph": {"n_neighbors": 6, "n_candidates": 10},
    "training": {"n_epochs": 12, "device": "cpu"},
}
OWN, RELEASED = (config.replace(preset, SMALL) for preset in (config.Settings(), config.PUBLISHED))
OWN_BATCHES, RELEASED_BATCHES = (
    config.replace(settings, {"training": {"batch_cells": 64}}) for settings in (OWN, RELEASED)
)
NARROW = {"hidden_sizes": (16, 8)}  # rounding grows with every weight
# Each process drops values of its own, so only without that they do as one does.
KEPT = {"dropout": 0.0}
CASES = {
    "all at once": (OWN, {}),
    "in batches": (OWN_BATCHES, {}),
    "in batches, reassigned": (OWN_BATCHES, {"continuity": "genes", "reassign_every": 2}),
    "one layer": (OWN, {"hidden_sizes": (16,)}),
    "published": (RELEASED, KEPT),
    "published, in batches": (RELEASED_BATCHES, KEPT),
}
FROM_DISK = ("in batches", "in batches, reassigned")
RESUMED = ("all at once", "in batches", "published, in batches")


def run_processes(function: str, *arguments: str, n_processes: int = 2) -> list[subprocess.CompletedProcess]:
    """Run this function in the main process of a group; the ended processes, all within a quarter of an hour."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    same = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": n_processes, "PYTHONPATH": ROOT}
    command = [sys.executable, "-W", "ignore", __file__, function, *arguments]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | {key: str(value) for key, value in (same | {"RANK": rank}).items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n_processes)
    ]
    try:
        outputs = [process.communicate(timeout=900) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(command, process.returncode, *output)
        for process, output in zip(started, outputs, strict=True)
    ]


def noisy_cells(n_cells: int = 200, n_genes: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells along an induction, each with noise, in an order that says nothing."""
    generator = torch.Generator().manual_seed(0)
    time = 4 * torch.rand(n_cells, 1, generator=generator)
    height = torch.linspace(1, 5, n_genes)
    unspliced, spliced = (
        height * (1 - torch.exp(-rate * time)) + 0.2 * torch.rand(n_cells, n_genes, generator=generator)
        for rate in (1.0, 0.5)
    )
    unspliced[unspliced < 0.5] = 0  # correlations are over the cells that have some
    return spliced, unspliced


def fitted(settings: config.Settings, fixed: dict[str, Any], **training) -> Fit:
    """A fit of the noisy cells; ``fixed`` is what the preset fixes otherwise."""
    with config.ablation(settings.preset, **NARROW | fixed):
        return train(*noisy_cells(), settings=settings, **training)


def fitted_from_disk(settings: config.Settings, fixed: dict[str, Any], folder: Path) -> Fit:
    """A fit of the noisy cells, whose moments lie in a folder."""
    folder.mkdir()
    on_disk = []
    for name, values in zip(("spliced", "unspliced"), noisy_cells(), strict=True):
        with ColumnWriter(folder / name) as file:
            file.add(values)
        on_disk.append(file.values())
    with config.ablation(settings.preset, **NARROW | fixed):
        return train(*on_disk, settings=settings)


def fit_all(path: str) -> None:
    """Store every case; one after fits that ended badly, and one with dropout."""
    fits = {name: fitted(*case) for name, case in CASES.items()}

    def stop(epoch, terms):
        if epoch == 3:
            raise CancelledError

    too_large = [values * 1e25 for values in noisy_cells()]
    for ends_badly in (
        partial(fitted, OWN, {}, on_epoch=stop),
        partial(train, *too_large, settings=RELEASED),
        partial(fitted, config.replace(OWN, {"graph": {"n_neighbors": 500}}), {}),
    ):
        try:
            ends_badly()
        except (CancelledError, InputError) as error:
            print(type(error).__name__, error)  # noqa: T201
    for name in RESUMED:
        fits[f"{name}, resumed"] = resumed(*CASES[name], Path(path).with_name(name))
    for name in FROM_DISK:
        fits[f"{name}, from disk"] = fitted_from_disk(*CASES[name], Path(path).with_name(f"moments {name}"))
    fits["after others that ended badly"] = fitted(OWN, {})
    fits["with dropout"] = fitted(RELEASED, {})
    torch.save({name: (fit.weights, fit.history) for name, fit in fits.items()}, path)


def resumed(settings: config.Settings, fixed: dict[str, Any], path: Path) -> Fit:
    """A fit cancelled after its fifth epoch and resumed from the checkpoint of the fourth."""
    checkpoint.SECONDS_BETWEEN, checkpoint.MOST_OF_THE_TIME = 0.0, 1e9

    def stop(epoch, terms):
        if epoch == 5:
            raise CancelledError

    with suppress(CancelledError):
        fitted(settings, fixed, on_epoch=stop, checkpoint=checkpoint.Checkpoint(path))
    told = []
    fit = fitted(
        settings,
        fixed,
        checkpoint=checkpoint.Checkpoint(path, on_resume=lambda *epochs: told.append(epochs)),
    )
    assert told == [(4, plan_of(*noisy_cells()[0].shape, settings).n_epochs)]
    return fit


def fail_within_a_step() -> None:
    """As where memory ends."""
    backward = BlockedObjective.backward

    def fails(self, *args, **kwargs):
        backward(self, *args, **kwargs)
        msg = "no more memory"
        raise RuntimeError(msg)

    BlockedObjective.backward = fails
    fitted(OWN, {})


def leave() -> None:
    """As if killed."""
    os._exit(7)


if __name__ == "__main__":
    run_main(partial(globals()[sys.argv[1]], *sys.argv[2:]))
