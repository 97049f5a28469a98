"""Values of cells in files: parts are read where they are asked for, and the rest takes no memory.

There are two layouts. Files of columns are for some genes of all cells, or of some that follow each other; files of cells
for cells from anywhere, in an order in which those that are asked for together follow each other.
"""

from __future__ import annotations

import errno
import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

# Of cells that are gathered from all over a file, which for them is read from end to end.
BYTES_GATHERED = 2**30
# Columns that lie together in a file of columns: a cell's fill a line of the processor's cache, so neither to take some
# columns nor to take some cells turns them over number by number. As many as `blocks_of_genes` takes of very many cells.
COLUMNS_TOGETHER = 16
# Cells are read, before they are put in the order in which they were asked for, by so many readers: a disk answers several
# at once twice as fast as one after the other.
_CELLS_READ, _READERS = 1024, 4


class _OnDisk:
    """Values ``(n_cells, n_columns)`` in a file.

    Attributes
    ----------
    device
        Where parts are sent.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: torch.dtype) -> None:
        self.path, self.shape, self.dtype, self.device = path, shape, dtype, torch.device("cpu")

    def __len__(self) -> int:
        """How many cells there are."""
        return self.shape[0]

    def to(self, device: torch.device | str) -> Self:
        """The same, with parts sent to a device."""
        there = copy(self)
        there.device = torch.device(device)
        return there

    @contextmanager
    def _open(self) -> Iterator[_Reader]:
        with _about(self.path), _Reader(self.path, self.dtype.itemsize) as file:
            yield file

    def _empty(self, n_cells: int, n_columns: int) -> np.ndarray:
        return _empty(n_cells, n_columns, self.dtype)


class ColumnsOnDisk(_OnDisk):
    """Values in a file of columns, as `ColumnWriter` writes it: ``values[:, columns]``, ``values[cells]``, with slices.

    `blocks_of_columns` one after the other, in each cell after cell. Where fewer columns of all cells are asked for, what
    was read stays for those that follow.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__(path, shape, dtype)
        self._last: tuple[slice, np.ndarray] | None = None

    def __getitem__(self, where: slice | tuple[slice, slice], /) -> Tensor:
        """Some columns of some cells."""
        cells, columns = where if isinstance(where, tuple) else (where, slice(None))
        first_cell, last_cell, _ = cells.indices(self.shape[0])
        first, last, _ = columns.indices(self.shape[1])
        found = self._empty(last_cell - first_cell, last - first)
        of_all = len(found) == len(self)
        with self._open() as file:
            for block in blocks_of_columns(self.shape[1]):
                if block.stop <= first or block.start >= last:
                    continue
                width = block.stop - block.start
                at = block.start * len(self) + first_cell * width
                if (first, last) == (block.start, block.stop):
                    file.fill(found, at=at)
                    continue
                if of_all and self._last is not None and self._last[0] == block:
                    there = self._last[1]
                else:
                    self._last = None
                    there = self._empty(len(found), width)
                    file.fill(there, at=at)
                if of_all:
                    self._last = (block, there) if block.stop > last else None
                begin, end = max(first, block.start), min(last, block.stop)
                found[:, begin - first : end - first] = there[:, begin - block.start : end - block.start]
        return torch.from_numpy(found).to(self.device)

    def gather(self, cells: Tensor) -> Tensor:
        """Cells from all over the file, which is read from end to end; ``(n_asked, n_columns)``, on the CPU."""
        out = torch.from_numpy(self._empty(len(cells), self.shape[1]))
        there: np.ndarray | None = None
        with self._open() as file:
            for block in blocks_of_columns(self.shape[1]):
                width = block.stop - block.start
                if there is None or there.shape[1] != width:  # else its memory is used again
                    there = self._empty(len(self), width)
                file.fill(there, at=block.start * len(self))
                out[:, block] = torch.from_numpy(there).index_select(0, cells)
        return out


class CellsOnDisk(_OnDisk):
    """Values in a file of cells, as `written_by_cell` writes it, for `index_select` and `in_parts`.

    Parameters
    ----------
    order
        The cells in the order of the file, ``(n_cells,)``.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: torch.dtype, *, order: Tensor) -> None:
        super().__init__(path, shape, dtype)
        self._order = order
        self._places = torch.empty_like(order)
        self._places[order] = torch.arange(len(order))

    def index_select(self, dim: int, cells: Tensor) -> Tensor:
        """Some cells, ``(n_asked, n_columns)``; ``dim`` is 0."""
        assert dim == 0
        places, asked = self._places[cells.cpu()].sort()
        out = torch.from_numpy(self._empty(len(cells), self.shape[1]))

        def read(some: Tensor, where: Tensor) -> None:
            found = self._empty(len(some), self.shape[1])
            # What lies next to each other is read at once.
            starts = np.flatnonzero(np.diff(some.numpy(), prepend=-2) != 1)
            ends = [*starts.tolist(), len(some)][1:]
            with self._open() as file:
                for start, end, place in zip(starts.tolist(), ends, some[starts].tolist(), strict=True):
                    file.fill(found[start:end], at=place * self.shape[1])
            out.numpy()[where.numpy()] = found

        with ThreadPoolExecutor(_READERS) as pool:
            for _ in pool.map(read, places.split(_CELLS_READ), asked.split(_CELLS_READ)):
                pass  # or the error of a reader
        return out.to(self.device)

    def in_parts(self, n_cells: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All cells, at most so many at a time, in the order of the file: their indices and values."""
        with self._open() as file:
            for start, cells in zip(range(0, len(self), n_cells), self._order.split(n_cells), strict=True):
                values = self._empty(len(cells), self.shape[1])
                file.fill(values, at=start * self.shape[1])
                yield cells.to(self.device), torch.from_numpy(values).to(self.device)


class _Reader(io.FileIO):
    """Reads values of some bytes each. Read into memory mappings, they would count as memory that the process holds."""

    def __init__(self, path: Path, itemsize: int) -> None:
        super().__init__(path)
        self._itemsize = itemsize

    def fill(self, values: np.ndarray, *, at: int) -> None:
        """Fill an array, contiguous, with the values from a place in the file on."""
        self.seek(at * self._itemsize)
        rest = values.reshape(-1).view(np.uint8).data
        while rest:
            n_bytes = self.readinto(rest)
            if not n_bytes:
                raise OSError(errno.EIO, "ends too early")
            rest = rest[n_bytes:]


Columns = Tensor | ColumnsOnDisk
"""Values ``(n_cells, n_columns)``, in memory or on disk, of which some columns of all cells are asked for."""

Cells = Tensor | CellsOnDisk
"""The same, of which some cells are."""


def blocks_of_columns(n_columns: int) -> Iterator[slice]:
    """Those that lie together in a file of columns."""
    for start in range(0, n_columns, COLUMNS_TOGETHER):
        yield slice(start, min(start + COLUMNS_TOGETHER, n_columns))


class ColumnWriter:
    """Writes a file of columns: ``with ColumnWriter(path) as file: file.add(block)``, then `values`.

    Raises
    ------
    OSError
        The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shape, self._dtype = (0, 0), torch.float32
        self._waiting: list[Tensor] = []  # fewer columns than lie together

    def __enter__(self) -> ColumnWriter:
        """Begin the file."""
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        with _about(self._path), self._file:
            if error is None:
                self._write()

    def add(self, block: Tensor) -> None:
        """Append the columns of a block, ``(n_cells, n_columns)``, of as many cells and the same kind as those before."""
        start = 0
        while start < block.shape[1]:
            stop = start + COLUMNS_TOGETHER - (self._shape[1] + start) % COLUMNS_TOGETHER
            self._waiting.append(block[:, start:stop])
            if stop <= block.shape[1]:
                self._write()
            start = stop
        if self._waiting:  # until the next block comes: whoever gave this one may change it
            self._waiting[-1] = self._waiting[-1].clone()
        self._shape, self._dtype = (len(block), self._shape[1] + block.shape[1]), block.dtype

    def _write(self) -> None:
        if self._waiting:
            with _about(self._path):
                together = self._waiting[0] if len(self._waiting) == 1 else torch.cat(self._waiting, dim=1)
                self._file.write(together.contiguous().numpy().data)
            self._waiting = []

    def values(self) -> ColumnsOnDisk:
        """What was written."""
        return ColumnsOnDisk(self._path, self._shape, self._dtype)


class ColumnsInMemory:
    """Takes blocks of columns as `ColumnWriter` does, into memory for at most so many: twice all of them may not fit."""

    def __init__(self, most_columns: int) -> None:
        self._most, self._n_columns = most_columns, 0
        self._values: Tensor | None = None

    def add(self, block: Tensor) -> None:
        """Put the columns of a block, ``(n_cells, n_columns)``, after those before."""
        if self._values is None:
            self._values = torch.from_numpy(_empty(len(block), self._most, block.dtype))
        start, self._n_columns = self._n_columns, self._n_columns + block.shape[1]
        self._values[:, start : self._n_columns] = block

    def values(self) -> Tensor:
        """All columns."""
        assert self._values is not None
        return self._values[:, : self._n_columns].contiguous()


def written_by_cell(columns: ColumnsOnDisk, path: Path, *, order: Tensor) -> CellsOnDisk:
    """Write a file of cells, in this order, from one of columns.

    That is read as often as it has gigabytes, mostly from what the system keeps of it in memory: to write all columns once
    more, in the new order, would take longer.

    Parameters
    ----------
    order
        The cells, those next to each other that will be asked for together.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    at_once = max(1, BYTES_GATHERED // (columns.shape[1] * columns.dtype.itemsize))
    with _about(path), path.open("wb") as file:
        for cells in order.split(at_once):
            file.write(columns.gather(cells).numpy().data)
    return CellsOnDisk(path, columns.shape, columns.dtype, order=order)


def read_ahead(items: Iterable[T], *, device: torch.device) -> Generator[T]:
    """The items, up to a None, each of them made in a thread, on this device, while the one before is in use.

    Close it where it may be left before its end (`contextlib.closing`): what is being made then is waited for.
    """
    every = iter(items)
    # A thread of its own would begin with the first GPU.
    here = partial(torch.cuda.set_device, torch.cuda.current_device()) if device.type == "cuda" else None
    with ThreadPoolExecutor(1, initializer=here) as reader:
        # Nothing else holds it: an error of the reader would hold itself, and all that it was about.
        following = deque([reader.submit(next, every, None)])
        while (item := following.popleft().result()) is not None:
            following.append(reader.submit(next, every, None))
            yield item


def _empty(n_cells: int, n_columns: int, dtype: torch.dtype) -> np.ndarray:
    # By numpy, which asks for large pages: to find memory page by page takes longer than to read into it.
    return np.empty((n_cells, n_columns), dtype=torch.empty(0, dtype=dtype).numpy().dtype)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Errors of reading and writing get the name of their file: by it who asked for the file knows what they are about."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
