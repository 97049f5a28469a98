"""How a training is cut into batches and epochs."""

from __future__ import annotations

import pytest

from deepvelo.config import PUBLISHED
from deepvelo.config.training import TrainingConfig


@pytest.mark.parametrize(
    ("n_cells", "batch"), [(200, 200), (2000, 2000), (2001, 512), (8000, 1000), (100_000, 2048)]
)
def test_batches_grow_with_the_data_within_limits(n_cells, batch):
    assert TrainingConfig().batch_of(n_cells) == batch


@pytest.mark.parametrize(("asked", "batch"), [(5, 32), (300, 300), (9000, 3000)])
def test_a_batch_that_was_asked_for_is_neither_tiny_nor_larger_than_the_data(asked, batch):
    assert TrainingConfig(batch_cells=asked).batch_of(3000) == batch


def test_epochs_of_batches_take_as_many_steps_and_are_eight_at_least():
    config = TrainingConfig(n_epochs=100)
    assert config.epochs_of(800) == 100  # one step each
    assert config.epochs_of(3000) == 17  # of 6 steps
    assert config.epochs_of(100_000) == 8  # of 49
    assert config.epochs_of(300_000) == 8  # of 147
    assert config.epochs_of(500_000) == 5  # of 245: 1,225 steps
    assert config.epochs_of(1_000_000) == config.epochs_of(10_000_000) == 3
    assert TrainingConfig(n_epochs=2).epochs_of(100_000) == 2
    assert config.epochs_of(0) == 100  # pages ask before they know that there is no cell


def test_the_published_preset_takes_all_cells_at_once():
    assert PUBLISHED.training.batch_of(1_000_000) == 1_000_000
