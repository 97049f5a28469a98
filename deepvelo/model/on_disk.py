"""Values of cells in files: parts are read where they are asked for, and the rest takes no memory."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

# Of cells whose columns are brought together: pieces of a tenth of a megabyte, which disks read as fast as all in a row.
BYTES_AT_ONCE = 2**28
# Before they are put in the order in which they were asked for, by so many readers: a disk answers several at once twice as
# fast as one after the other.
_CELLS_READ, _READERS = 1024, 4


class OnDisk:
    """Values ``(n_cells, n_columns)`` in a file, to be asked for parts as a tensor is.

    The file has either column after column, for ``values[:, columns]`` and for ``values[cells]`` with slices, or cell after
    cell, for `index_select` and `in_parts`.

    Parameters
    ----------
    path
        The file, as `ColumnWriter` or `written_by_cell` writes it.
    order
        The cells in the order of the file, ``(n_cells,)``; None: it has column after column.

    Attributes
    ----------
    device
        Where parts are sent.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        dtype: torch.dtype,
        *,
        order: Tensor | None = None,
    ) -> None:
        self.path, self.shape, self.dtype, self.device = path, shape, dtype, torch.device("cpu")
        self._order = order
        self._places = None if order is None else order.argsort()

    def __len__(self) -> int:
        """How many cells there are."""
        return self.shape[0]

    def to(self, device: torch.device | str) -> OnDisk:
        """The same, with parts sent to a device."""
        there = copy(self)
        there.device = torch.device(device)
        return there

    def __getitem__(self, where: slice | tuple[slice, slice], /) -> Tensor:
        """Some columns of all cells, or some cells, of a file with column after column."""
        assert self._order is None
        cells, columns = (slice(None), where[1]) if isinstance(where, tuple) else (where, slice(None))
        first_cell, last_cell, _ = cells.indices(self.shape[0])
        first, last, _ = columns.indices(self.shape[1])
        found = np.empty((last - first, last_cell - first_cell), dtype=_numpy(self.dtype))
        with _about(self.path), _Reader(self.path, found.itemsize) as file:
            if found.shape[1] == len(self):
                file.fill(found, at=first * len(self))
            else:
                for column, values in enumerate(found, start=first):
                    file.fill(values, at=column * len(self) + first_cell)
        return torch.from_numpy(found).T.contiguous().to(self.device)

    def index_select(self, dim: int, cells: Tensor) -> Tensor:
        """Some cells, ``(n_asked, n_columns)``, of a file with cell after cell; ``dim`` is 0."""
        assert dim == 0
        assert self._places is not None
        places, asked = self._places[cells.cpu()].sort()
        out = torch.empty(len(cells), self.shape[1], dtype=self.dtype)

        def read(some: Tensor, where: Tensor) -> None:
            found = np.empty((len(some), self.shape[1]), dtype=_numpy(self.dtype))
            # What lies next to each other is read at once.
            starts = np.flatnonzero(np.diff(some.numpy(), prepend=-2) != 1)
            ends = [*starts.tolist(), len(some)][1:]
            with _about(self.path), _Reader(self.path, found.itemsize) as file:
                for start, end, place in zip(starts.tolist(), ends, some[starts].tolist(), strict=True):
                    file.fill(found[start:end], at=place * self.shape[1])
            out.numpy()[where.numpy()] = found

        with ThreadPoolExecutor(_READERS) as pool:
            for _ in pool.map(read, places.split(_CELLS_READ), asked.split(_CELLS_READ)):
                pass  # or the error of a reader
        return out.to(self.device)

    def in_parts(self, n_cells: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All cells, at most so many at a time, in the order of a file with cell after cell: their indices and values."""
        assert self._order is not None
        with _about(self.path), _Reader(self.path, self.dtype.itemsize) as file:
            for start, cells in zip(range(0, len(self), n_cells), self._order.split(n_cells), strict=True):
                values = torch.empty(len(cells), self.shape[1], dtype=self.dtype)
                file.fill(values.numpy(), at=start * self.shape[1])
                yield cells.to(self.device), values.to(self.device)


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


Values = Tensor | OnDisk
"""Values of cells ``(n_cells, n_columns)``, in memory or on disk."""


class ColumnWriter:
    """Writes a file of values with column after column: ``with ColumnWriter(path) as file: file.add(block)``, then `values`.

    Raises
    ------
    OSError
        The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shape, self._dtype = (0, 0), torch.float32

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
        with _about(self._path):
            self._file.close()

    def add(self, block: Tensor) -> None:
        """Append the columns of a block, ``(n_cells, n_columns)``, of as many cells and the same kind as those before."""
        with _about(self._path):
            self._file.write(block.T.contiguous().numpy().data)
        self._shape, self._dtype = (len(block), self._shape[1] + block.shape[1]), block.dtype

    def values(self) -> OnDisk:
        """What was written."""
        return OnDisk(self._path, self._shape, self._dtype)


def written_by_cell(blocks: Iterable[Tensor], path: Path, *, order: Tensor) -> OnDisk:
    """Write a file with cell after cell, in this order.

    Columns are written in the new order first and turned over then: at once, either the cells or the columns would have to
    be gathered from all over a file.

    Parameters
    ----------
    blocks
        Columns of all cells, ``(n_cells, n_columns_of_the_block)`` each.
    path
        The file; another beside it is gone at the end.
    order
        The cells, those next to each other that will be asked for together.

    Raises
    ------
    OSError
        The files cannot be written.
    """
    beside = path.with_suffix(".part")
    with ColumnWriter(beside) as file:
        for block in blocks:
            file.add(block[order])
    columns = file.values()
    at_once = max(1, BYTES_AT_ONCE // (columns.shape[1] * columns.dtype.itemsize))
    with _about(path), path.open("wb") as whole:
        for start in range(0, len(columns), at_once):
            whole.write(columns[start : start + at_once].numpy().data)
    beside.unlink()
    return OnDisk(path, columns.shape, columns.dtype, order=order)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Errors of reading and writing get the name of their file: by it who asked for the file knows what they are about."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _numpy(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
