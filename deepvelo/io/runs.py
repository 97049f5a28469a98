"""The run store: a folder of finished fits. Each run is a folder that appears only once it is complete."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from deepvelo import config, keys
from deepvelo.config import Settings
from deepvelo.errors import InputError
from deepvelo.io import checksums, journal
from deepvelo.io.hashing import data_hash
from deepvelo.io.run import HISTORY, RESULT, WEIGHTS, Run
from deepvelo.io.run_info import (
    INFO,
    DamagedRunError,
    Purpose,
    RunInfo,
    damaged_run_error,
    info_text,
    read_info,
)
from deepvelo.io.write import FULL, concerns_folder, new_folder, remove_leftovers, token
from deepvelo.io.write_zarr import bytes_to_write, write_by_gene
from deepvelo.plan import Plan

if TYPE_CHECKING:
    from deepvelo.result import Result

__all__ = ["DamagedRun", "Purpose", "Run", "RunInfo", "RunStore", "data_hash"]

logger = logging.getLogger(__name__)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # ids come from URLs: no dots, no slashes
_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
SAVING = ".saving-"
DELETED = ".deleted-"
TRAINING = ".training-"
METADATA = ".zmetadata"
LINEAGES_FOLDER = "lineages"  # folder in a run with analyses of it, each with checksums of its own
RESERVE_BYTES = 50 * 2**20  # must stay free beside the run
# Nanoseconds. A file that changed this recently may change again within the same timestamp.
_CLOCK_TICK = 2 * 10**9


@dataclass(frozen=True, kw_only=True)
class DamagedRun:
    """A run in the store that cannot be opened."""

    run_id: str
    problem: str
    """One or two sentences: what is wrong and what to do."""


class RunStore:
    """Finished fits in a folder.

    Parameters
    ----------
    folder
        Created when the first run is saved.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._path = str(folder)  # pathlib joins cost more than the system call
        self._cache: dict[str, tuple[tuple[int, ...], RunInfo | DamagedRun | None]] = {}

    def save(
        self,
        result: Result,
        *,
        data_name: str,
        data_hash: str,
        name: str | None = None,
        purpose: Purpose = "fit",
        base: str = "",
        job: str = "",
        owner: str = "",
        owner_name: str = "",
    ) -> str:
        """Store a fit with checksums of its files. A failed save leaves nothing behind.

        Parameters
        ----------
        result
            What `deepvelo.workflow.run` returned.
        data_name, data_hash
            Display name of the data, and their `data_hash`.
        name
            Display name of the run; by default built from ``data_name`` and `deepvelo.config.fit_label`.
        purpose, base, job, owner, owner_name
            See `RunInfo`.

        Returns
        -------
        The id of the run, which is the name of its folder.

        Raises
        ------
        InputError
            The base run was deleted, there is no space or no permission, or the store is not a folder.
        """
        self._require_base(purpose, base)
        settings = result.settings
        made = datetime.now(UTC)
        run_id = f"{made:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        fit: dict[str, Any] = dict(result.adata.uns.get(keys.DEEPVELO, {}))
        info = RunInfo(
            run_id=run_id,
            name=name or f"{data_name}, {config.fit_label(settings)}",
            data_name=data_name,
            data_hash=data_hash,
            created=made.isoformat(timespec="seconds"),
            settings=settings,
            metrics={"n_cells": result.adata.n_obs, "n_genes": result.adata.n_vars} | result.metrics,
            versions=json.loads(fit.get("versions", "{}")),
            cluster_key=str(fit.get("cluster_key", "")),
            basis=str(fit.get("basis", "")),
            plan=_PLAN.validate_json(fit["plan"]) if "plan" in fit else None,
            purpose=purpose,
            base=base,
            job=job,
            owner=owner,
            owner_name=owner_name,
        )
        self.require_writable(bytes_to_write(result.adata, self.folder))
        partial = self.folder / f"{SAVING}{run_id}-{token()}"
        try:
            self._remove_leftovers()
            with new_folder(partial):  # renamed inside the block once the run is complete
                self._write(partial, result, info)
                self._require_base(purpose, base)  # again, because writing takes a while
                partial.rename(self.folder / run_id)
        except OSError as error:
            raise InputError(self._error_message(error)) from error
        logger.info("saved run %s (%s)", run_id, info.name)
        return run_id

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Temporary folder in the store for the layers of a run, to pass to `deepvelo.workflow.run`.

        The folder is removed at the end of the block, so `save` the run inside it. Saving links the layers instead
        of writing them again.

        Raises
        ------
        InputError
            The disk fills up, or the folder cannot be written to.
        """
        self.require_writable()
        folder = self.folder / f"{SAVING}{token()}"
        try:
            self._remove_leftovers()
            with new_folder(folder):
                yield folder
        except OSError as error:
            if concerns_folder(error, folder):
                raise InputError(self._error_message(error)) from error
            raise

    def checkpoint(self, fit: str) -> Path:
        """Path of the training checkpoint of a fit, where ``fit`` is a hash of everything that decides the training.

        A checkpoint is kept while a job may resume from it, and for a day after it was last written.
        """
        return self.folder / f"{TRAINING}{fit}"

    def require_writable(self, n_bytes: int = 0) -> None:
        """Check that a run of ``n_bytes`` can be stored; called before the training starts.

        Raises
        ------
        InputError
            No space, no permission, or the store is not a folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise InputError(self._error_message(error)) from error
        if free < n_bytes + RESERVE_BYTES:
            msg = (
                f"The run store {self.folder} has {free / 1e9:.2f} GB free and this run needs up to "
                f"{(n_bytes + RESERVE_BYTES) / 1e9:.2f} GB. Free some space or choose another folder with `--runs`."
            )
            raise InputError(msg)

    def list(self) -> list[RunInfo]:
        """All complete runs of every purpose, newest first; never raises."""
        found = [info for info in self._scan() if isinstance(info, RunInfo)]
        return sorted(found, key=lambda info: (info.created, info.run_id), reverse=True)

    def damaged(self) -> tuple[DamagedRun, ...]:
        """Runs that cannot be opened, sorted by id; never raises.

        Reads ``info.json`` and lists the folders of the result. `open` with ``whole`` looks for every file, and
        `verify` reads every file.
        """
        found = [run for run in self._scan() if isinstance(run, DamagedRun)]
        return tuple(sorted(found, key=lambda run: run.run_id))

    def problem(self) -> str | None:
        """Why the store cannot be read, in a sentence; None if it can be read or does not exist yet."""
        try:
            next(self.folder.iterdir(), None)
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = error.strerror or error
            return f"The run store {self.folder} cannot be read ({reason}). Allow reading it, or connect its disk."
        return None

    def exists(self, run_id: str) -> bool:
        """Whether the store has a run with this id, damaged or not."""
        return self._lookup(run_id) is not None

    def open(self, run_id: str, *, whole: bool = False) -> Run:
        """Open a run for reading.

        Parameters
        ----------
        whole
            Check that all its files exist. A run that lacks some is listed as damaged from then on.

        Raises
        ------
        InputError
            There is no such run, it is damaged, or it was saved by a newer version.
        """
        run = Run(self.folder / run_id, self._require(run_id))
        if whole:
            try:
                run.require_whole()
            except DamagedRunError as error:
                self._cache[run_id] = (self._state(run_id), DamagedRun(run_id=run_id, problem=str(error)))
                raise
        return run

    def verify(self, run_id: str) -> str | None:
        """Read every file of a run and of its lineage analyses, and compare the checksums.

        Returns
        -------
        What is wrong, in a sentence; None for an intact run.
        """
        folder = self.folder / run_id
        try:
            self._require(run_id)
            analyses = [path for path in (folder / LINEAGES_FOLDER).glob("[!.]*") if path.is_dir()]
            bad = [
                (part / name).relative_to(folder).as_posix()
                for part in (folder, *sorted(analyses))
                for name in checksums.damaged_files(part)
            ]
        except InputError as error:
            return str(error) if run_id in str(error) else str(damaged_run_error(run_id, str(error)))
        if not bad:
            return None
        return str(damaged_run_error(run_id, f"{checksums.in_brief(bad)} gone or not what was saved"))

    def find(
        self,
        data_hash: str,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
        base: str = "",
    ) -> RunInfo | None:
        """The newest run with the same data and settings.

        ``cluster_key`` and ``basis`` match any value where they are None. Without ``base``, only runs with the
        purpose ``"fit"`` match: a run with another seed used the prepared data of its base, and a new fit with that
        seed may prepare them differently. With ``base``, that run and all runs that belong to it match, whatever
        their purpose: a seed can serve a sweep, and the data hash tells controls apart.
        """
        for info in self.list():
            mine = base in (info.run_id, info.base) if base else info.purpose == "fit"
            if (
                mine
                and info.data_hash == data_hash
                and info.settings == settings
                and cluster_key in (None, info.cluster_key)
                and basis in (None, info.basis)
            ):
                return info
        return None

    def run_of_job(self, job: str) -> RunInfo | None:
        """The run that a job stored, or None."""
        return next((info for info in self.list() if info.job == job), None)

    def delete(self, run_id: str) -> None:
        """Delete a run, damaged or not, with the controls, seeds and sweeps that belong to it.

        Raises
        ------
        InputError
            There is no such run, or it cannot be deleted.
        """
        if not self.exists(run_id):
            raise self._no_run(run_id)
        belonging = [info.run_id for info in self.list() if info.base == run_id and info.purpose != "fit"]
        self._remove(run_id)  # first: if it cannot be deleted, keep the others too
        for other in belonging:
            with suppress(FileNotFoundError):  # another process was faster
                self._remove(other)

    def _remove(self, run_id: str) -> None:
        folder = self.folder / run_id
        partial = self.folder / f"{DELETED}{run_id}-{secrets.token_hex(3)}"
        try:
            if not os.access(folder, os.W_OK | os.X_OK) and folder.exists():
                msg = f"Run {run_id} may not be deleted by this program. Allow writing to {folder}."
                raise InputError(msg)
            folder.rename(partial)  # half a deleted run must not be listed
        except FileNotFoundError:
            raise self._no_run(run_id) from None
        except OSError as error:
            raise InputError(self._error_message(error)) from error
        _remove_tree(partial)

    def _remove_leftovers(self) -> None:
        """Remove what killed processes left in the store, except checkpoints that a job may resume from."""
        for path in self.folder.glob(f"{DELETED}*"):
            _remove_tree(path)
        remove_leftovers(self.folder.glob(f"{SAVING}*"))
        under_way = {self.checkpoint(fit) for fit in journal.fits_under_way(self.folder)}
        remove_leftovers(path for path in self.folder.glob(f"{TRAINING}*") if path not in under_way)

    def _require(self, run_id: str) -> RunInfo:
        found = self._lookup(run_id)
        if isinstance(found, DamagedRun):
            raise InputError(found.problem)
        if found is None:
            raise self._no_run(run_id)
        return found

    def _no_run(self, run_id: str) -> InputError:
        return InputError(
            f"There is no run {run_id[:100]!r} in {self.folder}. Choose one from the list of runs."
        )

    def _require_base(self, purpose: Purpose, base: str) -> None:
        """Raise if the base run of a control, seed or sweep is missing: the run could never be listed."""
        if purpose != "fit" and not isinstance(self._lookup(base), RunInfo):
            msg = (
                f"There is no run {base[:100]!r} in {self.folder} any more, so the fit that belongs to it was not saved. "
                "Choose an existing run and start the fit from it."
            )
            raise InputError(msg)

    def _scan(self) -> Iterator[RunInfo | DamagedRun]:
        try:
            names = os.listdir(self._path)  # noqa: PTH208
        except OSError:  # missing or unreadable, see `problem`
            return
        for name in filter(RUN_ID.fullmatch, names):
            if (found := self._inspect(name)) is not None:
                yield found

    def _lookup(self, run_id: str) -> RunInfo | DamagedRun | None:
        """As `_inspect`, for an untrusted id; file systems that ignore case find a folder under several names."""
        if not RUN_ID.fullmatch(run_id):
            return None
        found = self._inspect(run_id)
        if found is not None and run_id not in os.listdir(self._path):  # noqa: PTH208
            return None
        return found

    def _inspect(self, run_id: str) -> RunInfo | DamagedRun | None:
        """What a folder of the store is; None if it is not a run. Cached until the folder changes."""
        state = self._state(run_id)
        cached = self._cache.get(run_id)
        if cached is not None and cached[0] == state:
            return cached[1]
        found = _inspect_folder(self.folder / run_id)
        if isinstance(found, DamagedRun) and (cached is None or cached[1] != found):
            logger.warning("%s", found.problem)
        settled = time.time_ns() - max(state) > _CLOCK_TICK
        self._cache[run_id] = (state if settled else (), found)
        return found

    def _state(self, run_id: str) -> tuple[int, ...]:
        """Inode, size and modification times, which change whenever the run does."""
        state: tuple[int, ...] = ()
        for name in (INFO, RESULT):
            try:
                found = os.lstat(f"{self._path}/{run_id}/{name}")
            except OSError as error:
                state += (error.errno or 0,)
            else:
                state += (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return state

    def _write(self, folder: Path, result: Result, info: RunInfo) -> None:
        from safetensors.torch import save

        write_by_gene(result.adata, folder / RESULT)
        result.history.to_csv(folder / HISTORY, index=False)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in result.weights.items()}
        # `save_file` does not raise an OSError when the disk is full
        (folder / WEIGHTS).write_bytes(save(weights))
        (folder / INFO).write_text(info_text(info), encoding="utf-8")
        checksums.write_checksums(folder)

    def _error_message(self, error: OSError) -> str:
        if error.errno in FULL:
            return (
                f"The disk of the run store {self.folder} is full, so the run was not saved. "
                "Free some space or choose another folder with `--runs`."
            )
        reason = error.strerror or str(error)
        return (
            f"The run store {self.folder} cannot be written to ({reason}). "
            "Allow writing there or choose another folder with `--runs`."
        )


def _inspect_folder(folder: Path) -> RunInfo | DamagedRun | None:
    """Read ``info.json``, the checksums and the Zarr metadata, and list the groups of the result."""
    try:
        info = read_info(folder)
        names = checksums.read_checksums(folder)
        metadata = f"{RESULT}/{METADATA}"
        parts = {RESULT, *("/".join(name.split("/")[:2]) for name in [*names, metadata])}
        if gone := sorted(part for part in parts if not os.path.exists(f"{folder}/{part}")):  # noqa: PTH110
            raise damaged_run_error(folder.name, f"{checksums.in_brief(gone)} gone")
        checksums.read_verified(folder, metadata, names)
    except InputError as error:
        if not folder.is_dir() or (
            os.access(folder, os.X_OK) and not any(os.path.lexists(folder / name) for name in (INFO, RESULT))
        ):
            return None  # not a run
        problem = (
            str(error)
            if isinstance(error, DamagedRunError)
            else str(damaged_run_error(folder.name, str(error)))
        )
        return DamagedRun(run_id=folder.name, problem=problem)
    return info


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
