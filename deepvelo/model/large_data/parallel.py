"""Several processes that train one network together, as torchrun starts them.

The first does alone all that is not training, and only it says anything. For a training it hands the others what they
need. Each then takes its share of the cells of every step, and what is summed over cells is added up over the
processes: all take the step that one process would have taken, but for rounding.
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
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from deepvelo.errors import CancelledError, InputError

# The others wait while the first prepares the data: hours, of a million cells.
LONGEST_WAIT = timedelta(days=7)
BYTES_AT_ONCE = 2**30


@dataclass
class Processes:
    """The processes that train together, seen from one of them; where there is but one, nothing here does anything.

    Attributes
    ----------
    rank
        Which one this is; 0 is the first.
    size
        How many there are.
    on_this_machine
        How many of them run here.
    others_wait
        Whether the others wait for a training, as the first knows.
    """

    rank: int = 0
    size: int = 1
    on_this_machine: int = 1
    others_wait: bool = False

    def share_of(self, cells: np.ndarray) -> np.ndarray:
        """What this process takes of some cells, ``(n_taken,)``; all take as many, but for one cell."""
        return np.array_split(cells, self.size)[self.rank]

    def add_up(self, *tensors: Tensor) -> None:
        """Replace each, of one kind of number on one device, by its sum over the processes."""
        if self.size == 1:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])  # one message costs less than many
        dist.all_reduce(together)
        for tensor, total in zip(tensors, together.split([x.numel() for x in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def total(self, number: int) -> int:
        """The sum of a whole number over the processes."""
        count = torch.tensor(number)
        self.add_up(count)
        return int(count)

    @contextmanager
    def led(self) -> Iterator[None]:
        """What is raised in this block in the first process raises `CancelledError` in the others."""
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
    def helped_by(self, work: Callable[[], object]) -> Iterator[None]:
        """Let the others do this work, while the first does the same in the block."""
        if self.size == 1:
            yield
            return
        _hand_out(work)
        self.others_wait = False
        try:
            yield
        except (CancelledError, InputError):
            self.others_wait = True  # these end the training in all
            raise
        self.others_wait = True

    def require(self, *, device: torch.device, fewest_cells: int) -> None:
        """Raise an `InputError` where there are more processes than can take part.

        Parameters
        ----------
        fewest_cells
            Of the steps, the one with the fewest cells has so many.
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


ALONE = Processes()
_here = ContextVar("processes", default=ALONE)


def processes() -> Processes:
    """Those that train together with this one: itself alone, but within `lead`."""
    return _here.get()


def lead(work: Callable[[], None]) -> None:
    """Do this work in the first of the processes that torchrun started; the others help it with its trainings.

    The environment names the processes: ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, and the
    address where they meet. They speak through gloo, and GPUs through nccl.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    own_gpu = int(os.environ.get("LOCAL_RANK", rank))
    if own_gpu < torch.cuda.device_count():
        torch.cuda.set_device(own_gpu)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=LONGEST_WAIT)
    here = Processes(rank, size, int(os.environ.get("LOCAL_WORLD_SIZE", size)), others_wait=rank == 0)
    token = _here.set(here)
    try:
        if rank == 0:
            work()
        else:
            _help()
            dist.destroy_process_group()
    finally:
        _here.reset(token)
        # Where the first failed within a step, the others wait there: they end when its connections do.
        if here.others_wait:
            _hand_out(None)
            dist.destroy_process_group()


def _help() -> None:
    """Do what the first process hands out, until it has no more."""
    while (work := _taken()) is not None:
        with suppress(CancelledError, InputError):  # the first says why
            work()
        del work  # and the data with it: the first needs the memory for what follows


class _Pickler(pickle.Pickler):
    """Leaves tensors out: they may be larger than the memory left, so they are not copied into the pickle."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.tensors: list[Tensor] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> int | None:
        """The place of a tensor among those left out; parameters and sparse tensors are made of plain ones."""
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
        """The tensor at a place."""
        return self._tensors[pid]


def _hand_out(work: Callable[[], object] | None) -> None:
    """Give the others some work; None ends them."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(work)
    kinds = [(tensor.shape, tensor.dtype, tensor.device.type) for tensor in pickler.tensors]
    dist.broadcast_object_list([file.getvalue(), kinds], src=0, device=torch.device("cpu"))
    for tensor in pickler.tensors:
        _broadcast(tensor.detach().cpu().contiguous())


def _taken() -> Callable[[], object] | None:
    """The work that the first process hands out."""
    found: list[Any] = [None, None]
    try:
        dist.broadcast_object_list(found, src=0, device=torch.device("cpu"))
    except RuntimeError:
        raise SystemExit(1) from None  # the first is gone; why, it said itself
    pickled, kinds = found
    tensors = []
    for shape, dtype, device in kinds:
        tensor = torch.empty(shape, dtype=dtype)
        _broadcast(tensor)
        tensors.append(tensor.to(device))
    work: Callable[[], object] | None = _Unpickler(io.BytesIO(pickled), tensors).load()
    return work


def _broadcast(tensor: Tensor) -> None:
    """Fill a tensor with what the first process has; as bytes, since not every kind of number can be sent."""
    for part in tensor.view(-1).view(torch.uint8).split(BYTES_AT_ONCE):
        dist.broadcast(part, src=0)
