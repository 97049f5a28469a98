from __future__ import annotations

import pytest

from deepvelo import memory
from deepvelo.config import Settings, replace
from deepvelo.errors import InputError


def test_estimate_grows_with_cells_genes_and_candidates():
    base = memory.estimate_memory(10_000, 2000, Settings())
    dense = 4 * 10_000 * 2000
    assert memory.estimate_memory(20_000, 2000, Settings()) - base >= 6 * dense
    assert memory.estimate_memory(10_000, 4000, Settings()) - base >= 6 * dense
    more = replace(Settings(), {"graph": {"n_candidates": 150}})
    assert memory.estimate_memory(10_000, 2000, more) - base == 96 * 10_000 * 30


def test_all_cells_at_once_take_more_memory_than_batches():
    at_once = replace(Settings(), {"training": {"batch_cells": 10_000}})
    more = memory.estimate_memory(10_000, 2000, at_once) - memory.estimate_memory(10_000, 2000, Settings())
    assert more == 4 * 10_000 * 2000


def container(folder, limit):
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text("700000\n")
    (folder / "memory.stat").write_text("anon 100000\ninactive_file 600000\n")
    return folder


def test_a_containers_limit_counts_without_what_can_be_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", container(tmp_path, 1_000_000))
    assert memory.available_memory() == 1_000_000 - 700_000 + 600_000


@pytest.mark.parametrize("limit", ["max", None])
def test_without_a_limit_the_machine_decides(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(memory, "_CGROUP", container(tmp_path, limit) if limit else tmp_path / "none")
    free = memory.psutil.virtual_memory()._replace(available=12345)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    assert memory.available_memory() == 12345


def test_too_large_a_fit_is_refused_with_numbers(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 2**30)
    memory.require_memory(3000, 2000, Settings())
    with pytest.raises(
        InputError, match=r"100,000 cells and 2,000 genes needs about \d\.\d GB.*Found 4\.0 GB free"
    ):
        memory.require_memory(100_000, 2000, Settings())
