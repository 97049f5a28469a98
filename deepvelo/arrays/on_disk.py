"""Values of cells in files, of which only the requested parts are in memory.

There are two layouts. A file of columns serves some genes of all cells, or of consecutive cells. A file of cells serves
any cells; cells that are requested together follow each other in it.
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

# Bytes of cells gathered in one pass over a file of columns.
_BLOCK_BYTES = 2**30
# Columns that are contiguous in a file of columns: those of one cell fill a cache line, so that neither some columns nor
# some cells are copied number by number. As many as `blocks_of_genes` takes of very many cells.
_BLOCK_COLUMNS = 16
# Cells that one thread reads at a time, and threads: a disk serves several requests at once twice as fast as in turn.
_BLOCK_CELLS, _READERS = 1024, 4


class _OnDisk:
    """Values ``(n_cells, n_columns)`` in a file.

    Attributes
    ----------
    device
        Device of the tensors that are returned.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: torch.dtype) -> None:
        self.path, self.shape, self.dtype, self.device = path, shape, dtype, torch.device("cpu")

    def __len__(self) -> int:
        """Number of cells."""
        return self.shape[0]

    def to(self, device: torch.device | str) -> Self:
        """The same file, read onto another device."""
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
    """Values in a file that `ColumnWriter` wrote, read by slices: ``values[:, columns]``, ``values[cells]``.

    The file holds `blocks_of_columns`, one after the other, each cell by cell. If only some columns of a block are
    requested of all cells, the block stays in memory for the next request.
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
        """Any cells, ``(n_requested, n_columns)``, on the CPU; reads the whole file."""
        out = torch.from_numpy(self._empty(len(cells), self.shape[1]))
        there: np.ndarray | None = None
        with self._open() as file:
            for block in blocks_of_columns(self.shape[1]):
                width = block.stop - block.start
                if there is None or there.shape[1] != width:  # otherwise reuse its memory
                    there = self._empty(len(self), width)
                file.fill(there, at=block.start * len(self))
                out[:, block] = torch.from_numpy(there).index_select(0, cells)
        return out


class CellsOnDisk(_OnDisk):
    """Values in a file that `written_by_cell` wrote, read by `index_select` and `in_parts`.

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
            # Consecutive cells are read at once.
            starts = np.flatnonzero(np.diff(some.numpy(), prepend=-2) != 1)
            ends = [*starts.tolist(), len(some)][1:]
            with self._open() as file:
                for start, end, place in zip(starts.tolist(), ends, some[starts].tolist(), strict=True):
                    file.fill(found[start:end], at=place * self.shape[1])
            out.numpy()[where.numpy()] = found

        with ThreadPoolExecutor(_READERS) as pool:
            for _ in pool.map(read, places.split(_BLOCK_CELLS), asked.split(_BLOCK_CELLS)):
                pass  # raises the errors of the threads
        return out.to(self.device)

    def in_parts(self, n_cells: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices and values of all cells in the order of the file, at most ``n_cells`` at a time."""
        with self._open() as file:
            for start, cells in zip(range(0, len(self), n_cells), self._order.split(n_cells), strict=True):
                values = self._empty(len(cells), self.shape[1])
                file.fill(values, at=start * self.shape[1])
                yield cells.to(self.device), torch.from_numpy(values).to(self.device)


class _Reader(io.FileIO):
    """A file of numbers. Not a memory mapping, whose pages count as memory of the process once they are read."""

    def __init__(self, path: Path, itemsize: int) -> None:
        super().__init__(path)
        self._itemsize = itemsize

    def fill(self, values: np.ndarray, *, at: int) -> None:
        """Fill a contiguous array with the values that start at position ``at`` of the file."""
        self.seek(at * self._itemsize)
        rest = values.reshape(-1).view(np.uint8).data
        while rest:
            n_bytes = self.readinto(rest)
            if not n_bytes:
                raise OSError(errno.EIO, "ends too early")
            rest = rest[n_bytes:]


Columns = Tensor | ColumnsOnDisk
"""Values ``(n_cells, n_columns)``, in memory or on disk, to be read by columns."""

Cells = Tensor | CellsOnDisk
"""Values ``(n_cells, n_columns)``, in memory or on disk, to be read by cells."""


def blocks_of_columns(n_columns: int) -> Iterator[slice]:
    """Slices of the columns that are contiguous in a file of columns."""
    for start in range(0, n_columns, _BLOCK_COLUMNS):
        yield slice(start, min(start + _BLOCK_COLUMNS, n_columns))


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
        self._waiting: list[Tensor] = []  # fewer columns than a block

    def __enter__(self) -> ColumnWriter:
        """Open the file."""
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the last block and close the file."""
        with _about(self._path), self._file:
            if error is None:
                self._write()

    def add(self, block: Tensor) -> None:
        """Append columns ``(n_cells, n_columns)`` of the same cells and dtype as those before."""
        start = 0
        while start < block.shape[1]:
            stop = start + _BLOCK_COLUMNS - (self._shape[1] + start) % _BLOCK_COLUMNS
            self._waiting.append(block[:, start:stop])
            if stop <= block.shape[1]:
                self._write()
            start = stop
        if self._waiting:  # the caller may change its block before the next one comes
            self._waiting[-1] = self._waiting[-1].clone()
        self._shape, self._dtype = (len(block), self._shape[1] + block.shape[1]), block.dtype

    def _write(self) -> None:
        if self._waiting:
            with _about(self._path):
                together = self._waiting[0] if len(self._waiting) == 1 else torch.cat(self._waiting, dim=1)
                self._file.write(together.contiguous().numpy().data)
            self._waiting = []

    def values(self) -> ColumnsOnDisk:
        """The values in the file."""
        return ColumnsOnDisk(self._path, self._shape, self._dtype)


class ColumnsInMemory:
    """Takes columns as `ColumnWriter` does, into memory preallocated for ``most_columns``: two copies may not fit."""

    def __init__(self, most_columns: int) -> None:
        self._most, self._n_columns = most_columns, 0
        self._values: Tensor | None = None

    def add(self, block: Tensor) -> None:
        """Append columns ``(n_cells, n_columns)`` of the same cells and dtype as those before."""
        if self._values is None:
            self._values = torch.from_numpy(_empty(len(block), self._most, block.dtype))
        start, self._n_columns = self._n_columns, self._n_columns + block.shape[1]
        self._values[:, start : self._n_columns] = block

    def values(self) -> Tensor:
        """All columns."""
        assert self._values is not None
        return self._values[:, : self._n_columns].contiguous()


def written_by_cell(columns: ColumnsOnDisk, path: Path, *, order: Tensor) -> CellsOnDisk:
    """Write a file of cells from a file of columns.

    Reads the file of columns once for each gigabyte of it, mostly from the system's page cache: writing all columns again
    in the new order would take longer.

    Parameters
    ----------
    order
        Indices of the cells; those that will be requested together follow each other.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    at_once = max(1, _BLOCK_BYTES // (columns.shape[1] * columns.dtype.itemsize))
    with _about(path), path.open("wb") as file:
        for cells in order.split(at_once):
            file.write(columns.gather(cells).numpy().data)
    return CellsOnDisk(path, columns.shape, columns.dtype, order=order)


def read_ahead(items: Iterable[T], *, device: torch.device) -> Generator[T]:
    """The items up to a None, each computed by a thread on this device while the previous one is in use.

    If the caller may stop early, it must close the generator (`contextlib.closing`), which waits for the thread.
    """
    every = iter(items)
    # A new thread starts on the first GPU.
    here = partial(torch.cuda.set_device, torch.cuda.current_device()) if device.type == "cuda" else None
    with ThreadPoolExecutor(1, initializer=here) as reader:
        # No other reference to the future: its error would keep itself and all tensors of its frames alive.
        following = deque([reader.submit(next, every, None)])
        while (item := following.popleft().result()) is not None:
            following.append(reader.submit(next, every, None))
            yield item


def _empty(n_cells: int, n_columns: int, dtype: torch.dtype) -> np.ndarray:
    # numpy requests huge pages: page faults of small pages take longer than the read itself.
    return np.empty((n_cells, n_columns), dtype=torch.empty(0, dtype=dtype).numpy().dtype)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Add the file's name to errors of reading and writing, by which the caller recognises them."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
