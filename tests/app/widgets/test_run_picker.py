"""What the sidebar says of a run, and of data that are not the run's."""

from __future__ import annotations

import dataclasses

import pytest

from app import cached
from app.widgets.run_picker import run_details


@pytest.mark.parametrize(("n_epochs", "expected"), [(1, ", 1 epoch, seed"), (100, ", 100 epochs, seed")])
def test_one_epoch_is_counted_as_one(shared_run, n_epochs, expected):
    info = cached.open_run(shared_run).info
    told = run_details(dataclasses.replace(info, metrics=info.metrics | {"n_epochs": n_epochs}))
    assert expected in told
