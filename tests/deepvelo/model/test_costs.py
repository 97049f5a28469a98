"""What an epoch costs, beside the same objective written out: `benchmarks/training.py`, made small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Of the released code, 100 epochs with alpha take 442 s on two cores; a default fit shall take 30 s.
MOST_LITERAL_EPOCHS = 30 / 4.42
BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "training.py"


def measured(*versions: str, cells: int, genes: int, epochs: int) -> list[dict[str, float]]:
    """Figures of versions one after the other in a process of their own, on all cores as in a real run."""
    sizes = ["--cells", cells, "--genes", genes, "--candidates", 30, "--epochs", epochs]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *map(str, sizes), "--only", *versions],
        env=os.environ | {"OMP_NUM_THREADS": str(os.cpu_count())},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.alone
def test_an_epoch_is_three_times_faster_than_the_literal_objective():
    literal, blocked = measured("literal", "blocked", cells=1000, genes=500, epochs=5)
    assert blocked["seconds_min"] < literal["seconds_min"] / 3
    assert blocked["first_total"] == pytest.approx(literal["first_total"], rel=1e-4)


@pytest.mark.slow
def test_training_three_thousand_cells_stays_below_600_mb():
    for version in ("default", "blocked"):
        (figures,) = measured(version, cells=3000, genes=2000, epochs=2)
        assert figures["memory_rise_mb"] < 600


@pytest.mark.slow
@pytest.mark.alone
def test_a_default_fit_of_three_thousand_cells_costs_seven_literal_epochs():
    default, literal = measured("default", "literal", cells=3000, genes=2000, epochs=1)
    assert default["seconds_fit"] < MOST_LITERAL_EPOCHS * literal["seconds_min"]
