"""Values on disk are those in memory, whichever part is asked for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from deepvelo.arrays import on_disk
from deepvelo.arrays.on_disk import (
    CellsOnDisk,
    ColumnsInMemory,
    ColumnsOnDisk,
    ColumnWriter,
    read_ahead,
    written_by_cell,
)
from deepvelo.model.graph.cell_graph import principal_components

N_CELLS, N_COLUMNS = 57, 35  # of which 16, 16 and 3 lie together
CPU = torch.device("cpu")
ORDER = torch.randperm(N_CELLS, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[torch.float32, torch.float16], ids=["single", "half"])
def values(request: pytest.FixtureRequest) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N_CELLS, N_COLUMNS, generator=generator).to(request.param)


@pytest.fixture
def columns(values: torch.Tensor, tmp_path: Path) -> ColumnsOnDisk:
    with ColumnWriter(tmp_path / "columns") as file:
        for start, stop in ((0, 4), (4, 4), (4, 5), (5, 30), (30, 32), (32, N_COLUMNS)):
            block = values[:, start:stop].clone()
            file.add(block)
            block.zero_()  # what was added may be used again
    return file.values()


@pytest.fixture
def cells(columns: ColumnsOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CellsOnDisk:
    monkeypatch.setattr(
        on_disk, "_BLOCK_BYTES", 10 * N_COLUMNS * columns.dtype.itemsize
    )  # not all cells at once
    return written_by_cell(columns, tmp_path / "cells", order=ORDER)


@pytest.mark.parametrize("most", [N_COLUMNS, N_COLUMNS + 3], ids=["all columns", "fewer columns"])
def test_blocks_of_columns_are_put_side_by_side_in_memory(values: torch.Tensor, most: int) -> None:
    columns = ColumnsInMemory(most)
    for start, stop in ((0, 4), (4, 4), (4, N_COLUMNS)):
        columns.add(values[:, start:stop])
    found = columns.values()
    assert torch.equal(found, values)
    assert found.dtype == values.dtype
    assert found.is_contiguous()


def test_columns_and_cells_next_to_each_other(values: torch.Tensor, columns: ColumnsOnDisk) -> None:
    assert (columns.shape, len(columns), columns.dtype) == (values.shape, N_CELLS, values.dtype)
    some, of_two = slice(20, 30), slice(10, 20)
    first, last, wide = slice(0, 16), slice(32, 35), slice(0, N_COLUMNS)
    for where in (some, *((x, y) for x in (slice(None), some) for y in (of_two, first, last, wide))):
        found = columns[where]
        assert torch.equal(found, values[where])
        assert found.is_contiguous()


def test_cells_in_any_order(values: torch.Tensor, cells: CellsOnDisk) -> None:
    asked = torch.tensor([3, 56, 0, 3, 20])
    assert torch.equal(cells.index_select(0, asked), values[asked])
    assert cells.index_select(0, asked[:0]).shape == (0, N_COLUMNS)
    parts = list(cells.in_parts(10))
    assert [len(some) for some, _ in parts] == [10] * 5 + [7]
    assert torch.equal(torch.cat([some for some, _ in parts]), ORDER)
    assert all(torch.equal(part, values[some]) for some, part in parts)


def test_those_next_to_each_other_lie_so_in_the_file(
    values: torch.Tensor, cells: CellsOnDisk, tmp_path: Path
) -> None:
    assert (tmp_path / "cells").read_bytes() == values[ORDER].numpy().tobytes()


def test_a_cells_values_in_columns_that_lie_together_do_so_in_the_file(
    values: torch.Tensor, columns: ColumnsOnDisk
) -> None:
    together = [values[:, start : start + 16].contiguous().numpy().tobytes() for start in (0, 16, 32)]
    assert columns.path.read_bytes() == b"".join(together)


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    begun = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for item, event in enumerate(begun):
            event.set()
            yield item

    found = []
    for item in read_ahead(items(), device=CPU):
        assert all(event.wait(5) for event in begun[: item + 2])
        found.append(item)
    assert found == [0, 1, 2, 3]


def test_an_error_in_the_making_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    ahead = read_ahead(items(), device=CPU)
    assert next(ahead) == 0
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_what_is_left_before_its_end_is_no_longer_read() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(100):
            time.sleep(0.01)
            made.append(item)
            yield item

    with closing(read_ahead(items(), device=CPU)) as ahead:
        assert next(ahead) == 0
    assert made == [0, 1], "the one that was being made is waited for"
    time.sleep(0.05)
    assert made == [0, 1]


def test_a_reader_takes_the_gpu_of_the_thread_it_reads_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda gpu: taken.append((gpu, threading.get_ident())))
    (reader,) = read_ahead((threading.get_ident() for _ in range(1)), device=torch.device("cuda"))
    assert taken == [(1, reader)]
    assert reader != threading.get_ident()


def test_columns_are_read_once_where_few_are_asked_for_at_a_time(
    values: torch.Tensor, columns: ColumnsOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, fill = [], on_disk._Reader.fill

    def counted(self: on_disk._Reader, found: np.ndarray, *, at: int) -> None:
        reads.append(at)
        fill(self, found, at=at)

    monkeypatch.setattr(on_disk._Reader, "fill", counted)
    found = [columns[:, start : start + 3] for start in range(0, N_COLUMNS, 3)]
    assert torch.equal(torch.cat(found, dim=1), values)
    assert len(reads) == 3


def test_what_is_read_may_be_changed(
    values: torch.Tensor, columns: ColumnsOnDisk, cells: CellsOnDisk
) -> None:
    columns[:, 0:2].zero_()
    cells.index_select(0, torch.tensor([1, 2])).zero_()
    assert torch.equal(columns[:, 0:2], values[:, 0:2])
    assert torch.equal(cells.index_select(0, torch.tensor([1, 2])), values[1:3])


def test_components_are_those_of_the_values_in_memory(tmp_path: Path) -> None:
    values = torch.randn(1500, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 3, 12)
    with ColumnWriter(tmp_path / "columns") as file:
        file.add(values)
    expected, found = (principal_components(x, n_components=4, seed=0) for x in (values, file.values()))
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system does not tell what a process holds"
)
@pytest.mark.slow
def test_what_was_read_is_no_longer_held(tmp_path: Path) -> None:
    """Files of 128 MB, read through by columns and by cells, leave the process as large as before."""
    program = f"""
import psutil, torch
from deepvelo.arrays import on_disk
from pathlib import Path
from deepvelo.arrays.on_disk import ColumnWriter, written_by_cell
on_disk._BLOCK_BYTES = 2**24
def held():
    return psutil.Process().memory_info().rss / 2**20
def blocks():
    for _ in range(16):
        yield torch.ones(2**18, 16, dtype=torch.float16)
for n_cells in (2**10, 2**18):
    before = held()
    with ColumnWriter(Path({str(tmp_path)!r}) / "columns") as file:
        for block in blocks():
            file.add(block[:n_cells])
    columns = file.values()
    cells = written_by_cell(columns, Path({str(tmp_path)!r}) / "cells", order=torch.arange(n_cells))
    most = held()
    for start in range(0, n_cells, 2**12):
        total = cells.index_select(0, torch.arange(start, min(start + 2**12, n_cells))).sum() + columns[start : start + 2**12].sum()
        most = max(most, held())
print(most - before)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(ended.stdout) < 100


def test_a_file_that_ends_too_early_is_named(columns: ColumnsOnDisk, tmp_path: Path) -> None:
    (tmp_path / "columns").write_bytes(b"1234")
    with pytest.raises(OSError, match="ends too early") as raised:
        columns[:, 0:2]
    assert raised.value.filename == str(tmp_path / "columns")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_file_that_cannot_be_written_is_named(
    values: torch.Tensor, columns: ColumnsOnDisk, tmp_path: Path
) -> None:
    (tmp_path / "cells").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as raised:
        written_by_cell(columns, tmp_path / "cells", order=ORDER)
    assert raised.value.filename == str(tmp_path / "cells")
    with pytest.raises(OSError, match="No space left") as raised, ColumnWriter(tmp_path / "cells") as file:
        file.add(values.repeat(1, 100))
    assert raised.value.filename == str(tmp_path / "cells")
