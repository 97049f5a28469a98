"""The device of a training: a GPU with enough memory, else the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from deepvelo.config import Device
from deepvelo.errors import InputError
from deepvelo.model.large_data.parallel import process_group

logger = logging.getLogger(__name__)

T = TypeVar("T")


def choose_device(device: Device) -> torch.device:
    """The device to train on; ``auto`` takes a GPU if there is one.

    Raises
    ------
    InputError
        A GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        msg = "Setting `training.device` is 'cuda', and no CUDA GPU was found. Choose 'auto' or 'cpu'."
        raise InputError(msg)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            logger.info("No CUDA GPU was found: the CPU is used.")
    return torch.device(device)


def on_device(work: Callable[[torch.device], T], *, asked: Device) -> T:
    """Do work on the requested device; with ``auto``, repeat it on the CPU if the GPU's memory runs out.

    Processes of a group keep their device.

    Raises
    ------
    InputError
        A GPU was asked for and there is none, or its memory runs out.
    """
    device = choose_device(asked)
    try:
        return work(device)
    except torch.OutOfMemoryError as error:
        if asked == "cuda" or process_group().size > 1:
            n_bytes = torch.cuda.get_device_properties(device).total_memory
            msg = (
                f"The memory of the GPU ran out. It has {n_bytes / 2**30:.1f} GB. Lower `training.batch_cells` or "
                "`preparation.n_top_genes`, or set `training.device` to 'cpu'."
            )
            raise InputError(msg) from error
    # Outside `except`: the exception keeps GPU tensors alive.
    torch.cuda.empty_cache()
    logger.warning("The memory of the GPU ran out: training starts again on the CPU.")
    return work(torch.device("cpu"))


@contextmanager
def rounded_products() -> Iterator[None]:
    """GPUs round the factors of matrix products to 10 bits (TF32) and sum in single precision; CPUs do not round.

    Products are several times as fast. "A GPU" in docs/scaling.md has the effect on a fit.
    """
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32"
    try:
        yield
    finally:
        products.fp32_precision = before
