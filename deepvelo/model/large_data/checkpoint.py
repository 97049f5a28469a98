"""The state of a training in a file, from which a killed training resumes."""

from __future__ import annotations

import json
import logging
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from glob import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deepvelo import config
from deepvelo.arrays.on_disk import Columns
from deepvelo.config import Settings
from deepvelo.model.assignment.targets import Targets
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.large_data.blocks import blocks_of_genes
from deepvelo.model.large_data.mini_batches import Batches
from deepvelo.model.loss import Terms

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 30.0
MOST_OF_THE_TIME = 0.05  # however slow the disk
# The same data, prepared on another machine, differ by rounding; other data by far more.
SAME_DATA = 1e-3

# Tensors on the CPU by name, and JSON values; a file also has the ``history``, the terms of each epoch so far.
CheckpointState = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Everything that changes during training, except the history."""

    network: RateNetwork
    targets: Targets
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    batches: Batches | None

    def state(self) -> CheckpointState:
        """A copy on the CPU, without the history."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, values in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        tensors["targets"] = self.targets.sums
        tensors["random.cpu"] = torch.get_rng_state()
        if self._on_gpu:
            tensors["random.cuda"] = torch.cuda.get_rng_state(self._device)
        words = {
            "parameter_groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict(),
            "batches": self.batches.random.bit_generator.state if self.batches else None,
        }
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, words

    def restore(self, state: CheckpointState) -> None:
        """Restore a `state` of a training with the same settings and data."""
        tensors, words = state
        self.network.load_state_dict(_below("network", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer", tensors).items():
            index, name = name.split(".")
            moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": words["parameter_groups"]})
        self.schedule.load_state_dict(words["schedule"])
        self.targets.assign_from(tensors["targets"].to(self._device))
        torch.set_rng_state(tensors["random.cpu"])
        if self._on_gpu and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self._device)
        if self.batches is not None:
            self.batches.random.bit_generator.state = words["batches"]

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def _on_gpu(self) -> bool:
        return self._device.type == "cuda"


class Checkpoint:
    """A file with the state of a training.

    Safetensors with JSON in the metadata, exact to the last bit: on the same machine, a resumed training gives the
    result of an uninterrupted one. The file is written under a temporary name and renamed, so a killed write leaves the
    previous file, and two trainings of the same fit may share it. A full disk or a damaged file is logged and never
    stops a training. The caller that stores the result removes the file.

    Parameters
    ----------
    path
        The file; it need not exist.
    on_resume
        Called with the epoch a training resumes after, and the number of epochs.
    on_save
        Called with the epoch the file was written after.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_resume: Callable[[int, int], None] | None = None,
        on_save: Callable[[int], None] | None = None,
    ) -> None:
        self.path = path
        self._on_resume, self._on_save = on_resume, on_save
        self._fit, self._fingerprint = "", torch.empty(0)
        self._due = 0.0
        self._failed = False

    def load(self, spliced: Columns, unspliced: Columns, *, settings: Settings) -> CheckpointState | None:
        """The state in the file, if the file is whole and of this fit; None otherwise. Sets the fit of later saves.

        ``spliced`` and ``unspliced`` are the moments, shape ``(n_cells, n_genes)``.
        """
        self._fit = json.dumps(
            {
                "format": 2,  # of the file
                "settings": config.to_dict(settings),
                "variant": asdict(settings.variant),
                "shape": list(spliced.shape),
                "versions": {name: version(name) for name in ("deepvelo-explorer", "torch")},
            }
        )
        self._fingerprint = _fingerprint(spliced, unspliced)
        self._due = time.monotonic() + SECONDS_BETWEEN
        return self._read()

    def report_resume(self, *, epoch: int, n_epochs: int) -> None:
        """Report the epoch a training resumes after."""
        logger.info("Resuming after epoch %d of %d.", epoch, n_epochs)
        if self._on_resume is not None:
            self._on_resume(epoch, n_epochs)

    def save(self, state: TrainState, history: Sequence[Terms]) -> None:
        """Write the state of a training, if the last write is long enough ago."""
        started = time.monotonic()
        if started < self._due:
            return
        tensors, words = state.state()
        try:
            self._write(
                tensors | {"fingerprint": self._fingerprint}, words | {"fit": self._fit, "history": history}
            )
        except OSError as error:
            if not self._failed:
                logger.warning(
                    "The checkpoint could not be written; training continues without it: %s", error
                )
            self._failed = True
        else:
            self._failed = False
            if self._on_save is not None:
                self._on_save(len(history))
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN, (ended - started) / MOST_OF_THE_TIME)

    def remove(self) -> None:
        """Remove the file, and temporary files of killed writes."""
        for path in (self.path, *self.path.parent.glob(f"{escape(self.path.name)}.*.part")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s could not be removed: %s", path, error)

    def _write(self, tensors: dict[str, Tensor], words: dict[str, Any]) -> None:
        text = json.dumps(words)
        partial = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            # not by `save_file`, whose error for a full disk is no OSError
            partial.write_bytes(save(tensors, {"words": text, "checksum": _checksum(tensors, text)}))
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def _read(self) -> CheckpointState | None:
        try:
            with safe_open(self.path, framework="pt") as file:
                # copies: the file itself may be replaced
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
                text, checksum = (file.metadata()[name] for name in ("words", "checksum"))
            words = json.loads(text)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s is damaged and ignored: %s", self.path, error)
            return None
        if checksum != _checksum(tensors, text):
            logger.warning("%s is damaged and ignored.", self.path)
            return None
        if words["fit"] != self._fit or not _alike(tensors.pop("fingerprint"), self._fingerprint):
            logger.warning("%s is of other data, settings or versions and ignored.", self.path)
            return None
        return tensors, words


def _fingerprint(spliced: Columns, unspliced: Columns) -> Tensor:
    """A fingerprint of the data: randomly weighted sums of each cell's moments, ``(2, n_cells)``."""
    weights = torch.randn(spliced.shape[1], generator=torch.Generator().manual_seed(0)).to(spliced.device)
    sums = torch.zeros(2, len(spliced), device=spliced.device)
    for genes in blocks_of_genes(*spliced.shape):
        for out, values in zip(sums, (spliced, unspliced), strict=True):
            out += values[:, genes] @ weights[genes]
    return sums.cpu()


def _alike(fingerprint: Tensor, other: Tensor) -> bool:
    """Whether fingerprints differ by no more than rounding, and a few cells' neighbours, explain."""
    return bool(((fingerprint - other).norm(dim=1) <= SAME_DATA * other.norm(dim=1)).all())


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below a prefix, without the prefix."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].numpy().data, zlib.crc32(name.encode(), checksum))
    return str(checksum)
