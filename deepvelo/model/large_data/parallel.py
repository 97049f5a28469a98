"""The process group of a training that torchrun started.

The main process alone prepares the data and writes messages. It sends the training to the other processes. In every
step each process computes its share of the cells, and sums over cells are reduced over the group, so the step equals
that of a single process, but for rounding.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from deepvelo.errors import CancelledError, InputError
from deepvelo.plan import Machine

# The other processes wait while the main process prepares the data: hours for a million cells.
LONGEST_WAIT = timedelta(days=7)
_BLOCK_BYTES = 2**30


@dataclass
class ProcessGroup:
    """The processes of one training, as one of them sees them; in a group of one every method does nothing.

    Attributes
    ----------
    rank
        Rank of this process; 0 is the main process.
    size
        Number of processes.
    on_this_machine
        Number of processes on this machine.
    others_waiting
        In the main process: whether the other processes are waiting for work.
    """

    rank: int = 0
    size: int = 1
    on_this_machine: int = 1
    others_waiting: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this is the main process."""
        return self.rank == 0

    def share_of(self, cells: np.ndarray) -> np.ndarray:
        """Share of the cells for this process, ``(n_taken,)``; shares differ by at most one cell."""
        return np.array_split(cells, self.size)[self.rank]

    def all_reduce(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over the processes; all have one dtype and device."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])  # one message costs less than many
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def total(self, number: int) -> int:
        """The sum of a whole number over the processes."""
        count = torch.tensor(number)
        self.all_reduce(count)
        return int(count)

    @contextmanager
    def stop_all_with_main(self) -> Iterator[None]:
        """An error in this block of the main process raises `CancelledError` in the other processes."""
        failed = torch.ones((), dtype=torch.int64)
        try:
            yield
            failed.zero_()
        finally:
            if self.size > 1:
                dist.broadcast(failed, src=0)
        if failed:
            raise CancelledError

    @contextmanager
    def run_on_others(self, work: Callable[[], object]) -> Iterator[None]:
        """Run this work in the other processes, while the main process does the same work in the block."""
        if self.size == 1:
            yield
            return
        _send(work)
        self.others_waiting = False
        try:
            yield
        except (CancelledError, InputError):
            self.others_waiting = True  # these errors end the training in every process
            raise
        self.others_waiting = True

    def require(self, *, device: torch.device, fewest_cells: int) -> None:
        """Raise an `InputError` if the group has more processes than GPUs, or than cells in a step.

        Parameters
        ----------
        fewest_cells
            Number of cells of the smallest step.
        """
        if device.type == "cuda" and self.on_this_machine > torch.cuda.device_count():
            n_devices = torch.cuda.device_count()
            msg = (
                f"Every process needs a GPU of its own. Found {self.on_this_machine} processes and {n_devices} GPU"
                f"{'s' * (n_devices != 1)} on this machine. Start torchrun with `--nproc-per-node {n_devices}`, or train "
                "with `--device cpu`."
            )
            raise InputError(msg)
        if self.size > fewest_cells:
            msg = (
                f"Every process needs a cell in every step. Found {self.size} processes and steps of {fewest_cells} "
                "cells. Start fewer processes, or raise `training.batch_cells`."
            )
            raise InputError(msg)


SINGLE_PROCESS = ProcessGroup()
_here = ContextVar("process_group", default=SINGLE_PROCESS)


def process_group() -> ProcessGroup:
    """The group of this process: a group of one, except within `run_main`."""
    return _here.get()


def this_machine(scratch: Path | None) -> Machine:
    """What a fit of these processes runs on; files in ``scratch`` are read by those of one machine alone."""
    group = process_group()
    here = group.size == group.on_this_machine
    return Machine(n_processes=group.size, has_scratch=scratch is not None and here)


def run_main(work: Callable[[], None]) -> None:
    """Run this work in the main process that torchrun started; the other processes take part in its trainings.

    Reads torchrun's environment: ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT``. CPU tensors go through gloo, GPU tensors through nccl.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    own_gpu = int(os.environ.get("LOCAL_RANK", rank))
    if own_gpu < torch.cuda.device_count():
        torch.cuda.set_device(own_gpu)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=LONGEST_WAIT)
    here = ProcessGroup(rank, size, int(os.environ.get("LOCAL_WORLD_SIZE", size)), others_waiting=rank == 0)
    token = _here.set(here)
    try:
        if rank == 0:
            work()
        else:
            _serve()
            dist.destroy_process_group()
    finally:
        _here.reset(token)
        # If the main process failed within a step, the others wait in it and end when its connections close.
        if here.others_waiting:
            _send(None)
            dist.destroy_process_group()


def _serve() -> None:
    """Run the work that the main process sends, until it sends None."""
    while (work := _receive()) is not None:
        with suppress(CancelledError, InputError):  # the main process reports them
            work()
        del work  # frees its data: the main process needs the memory


class _Pickler(pickle.Pickler):
    """Leaves tensors out of the pickle: a copy of them may not fit into memory."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.tensors: list[Tensor] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> int | None:
        """Index of a tensor among those left out; parameters and sparse tensors consist of plain tensors."""
        if type(obj) is not Tensor or obj.layout is not torch.strided:
            return None
        if id(obj) not in self._places:
            self._places[id(obj)] = len(self.tensors)
            self.tensors.append(obj)
        return self._places[id(obj)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, pid: Any) -> Tensor:
        """The tensor with this index."""
        return self._tensors[pid]


def _send(work: Callable[[], object] | None) -> None:
    """Send work to the other processes; None ends them."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(work)
    kinds = [(tensor.shape, tensor.dtype, tensor.device.type) for tensor in pickler.tensors]
    dist.broadcast_object_list([file.getvalue(), kinds], src=0, device=torch.device("cpu"))
    for tensor in pickler.tensors:
        _broadcast(tensor.detach().cpu().contiguous())


def _receive() -> Callable[[], object] | None:
    """The work that the main process sent."""
    found: list[Any] = [None, None]
    try:
        dist.broadcast_object_list(found, src=0, device=torch.device("cpu"))
    except RuntimeError:
        raise SystemExit(1) from None  # the main process is gone and has reported why
    pickled, kinds = found
    tensors = []
    for shape, dtype, device in kinds:
        tensor = torch.empty(shape, dtype=dtype)
        _broadcast(tensor)
        tensors.append(tensor.to(device))
    work: Callable[[], object] | None = _Unpickler(io.BytesIO(pickled), tensors).load()
    return work


def _broadcast(tensor: Tensor) -> None:
    """Fill a tensor with the main process's values; sent as bytes, since not every dtype can be."""
    for part in tensor.view(-1).view(torch.uint8).split(_BLOCK_BYTES):
        dist.broadcast(part, src=0)
