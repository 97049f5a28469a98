"""What an epoch costs, beside the same objective written out: `benchmarks/training.py`, made small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "training.py"


def measured(version: str, *, cells: int, genes: int, epochs: int) -> dict[str, float]:
    """Figures of one version in a process of its own, on all cores as in a real run."""
    sizes = ["--cells", cells, "--genes", genes, "--candidates", 30, "--epochs", epochs]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *map(str, sizes), "--only", version],
        env=os.environ | {"OMP_NUM_THREADS": str(os.cpu_count())},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_an_epoch_is_three_times_faster_than_the_literal_objective():
    literal, blocked = (measured(v, cells=1000, genes=500, epochs=5) for v in ("literal", "blocked"))
    assert blocked["seconds_min"] < literal["seconds_min"] / 3
    assert blocked["first_total"] == pytest.approx(literal["first_total"], rel=1e-4)


@pytest.mark.slow
def test_training_three_thousand_cells_stays_below_600_mb():
    figures = measured("blocked", cells=3000, genes=2000, epochs=2)
    assert figures["memory_rise_mb"] < 600
