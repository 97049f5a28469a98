"""The run store: a folder of finished fits, each a folder that appears only once it is whole."""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepvelo import config, keys
from deepvelo.config import Settings
from deepvelo.errors import InputError
from deepvelo.io.hashing import data_hash
from deepvelo.io.run import HISTORY, INFO, RESULT, WEIGHTS, Purpose, Run, RunInfo
from deepvelo.io.write import FULL, is_about, remove_leftovers, removed_afterwards
from deepvelo.io.write_zarr import bytes_to_write, write_by_gene

if TYPE_CHECKING:
    from deepvelo.result import Result

__all__ = ["Purpose", "Run", "RunInfo", "RunStore", "data_hash"]

logger = logging.getLogger(__name__)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # ids come from URLs: no dots, no slashes
ASIDE = ".saving-"
DELETED = ".deleted-"
TRAINING = ".training-"
SPARE = 50 * 2**20  # bytes that must stay free beside the run


class RunStore:
    """Finished fits in a folder.

    Parameters
    ----------
    folder
        Made when the first run is saved.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._known: dict[str, tuple[int, RunInfo | None]] = {}

    def save(
        self,
        result: Result,
        *,
        data_name: str,
        data_hash: str,
        name: str | None = None,
        purpose: Purpose = "fit",
        base: str = "",
    ) -> str:
        """Store a fit; nothing of it is left when that fails.

        Parameters
        ----------
        result
            What `deepvelo.workflow.run` returned.
        data_name, data_hash
            How people call the data, and `data_hash` of them.
        name
            How people call this run; made from the data and `deepvelo.config.fit_label` when not given.
        purpose, base
            See `RunInfo`.

        Returns
        -------
        The run's id, its folder's name.

        Raises
        ------
        InputError
            The run it belongs to is not in the store any more: it would never be shown. No space, no
            permission, or the store is not a folder.
        """
        self._require_base(purpose, base)
        settings = result.settings
        made = datetime.now(UTC)
        run_id = f"{made:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        fit: dict[str, Any] = dict(result.adata.uns.get(keys.DEEPVELO, {}))
        info = {
            "name": name or f"{data_name}, {config.fit_label(settings)}",
            "data_name": data_name,
            "data_hash": data_hash,
            "created": made.isoformat(timespec="seconds"),
            "settings": config.to_dict(settings),
            "metrics": result.metrics,
            "versions": json.loads(fit.get("versions", "{}")),
            "cluster_key": str(fit.get("cluster_key", "")),
            "basis": str(fit.get("basis", "")),
            "purpose": purpose,
            "base": base,
        }
        self.require_writable(bytes_to_write(result.adata, self.folder))
        aside = self.folder / f"{ASIDE}{run_id}"
        try:
            remove_leftovers(
                path for path in self.folder.iterdir() if path.name.startswith((ASIDE, DELETED, TRAINING))
            )
            aside.mkdir()
            with removed_afterwards(aside):  # has its final name by then when the run is whole
                self._write(aside, result, info)
                self._require_base(purpose, base)  # once more: writing takes a while
                aside.rename(self.folder / run_id)
        except OSError as error:
            raise InputError(self._sentence(error)) from error
        logger.info("saved run %s (%s)", run_id, info["name"])
        return run_id

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder in the store for the layers of a run that is being made, as `deepvelo.workflow.run` takes it.

        It is gone afterwards: `save` the run before. Saving links what lies there instead of writing it again.

        Raises
        ------
        InputError
            The disk fills up, or the folder cannot be written to.
        """
        self.require_writable()
        folder = self.folder / f"{ASIDE}{secrets.token_hex(6)}"
        try:
            folder.mkdir()
            with removed_afterwards(folder):
                yield folder
        except OSError as error:
            if is_about(error, folder):
                raise InputError(self._sentence(error)) from error
            raise

    def checkpoint(self, fit: str) -> Path:
        """Where the training of a fit may write how it stands; ``fit`` is all that decides it, as a hash.

        What is written there and not removed stays for a day after it was last written.
        """
        return self.folder / f"{TRAINING}{fit}"

    def require_writable(self, n_bytes: int = 0) -> None:
        """Check that a run of ``n_bytes`` can be stored: better before hours of training than after.

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
            raise InputError(self._sentence(error)) from error
        if free < n_bytes + SPARE:
            msg = (
                f"The run store {self.folder} has {free / 1e9:.2f} GB free and this run needs up to "
                f"{(n_bytes + SPARE) / 1e9:.2f} GB. Free some space or choose another folder with `--runs`."
            )
            raise InputError(msg)

    def list(self) -> list[RunInfo]:
        """All whole runs of every purpose, newest first; a folder that cannot be read is logged and left out."""
        try:
            folders = [path for path in self.folder.iterdir() if RUN_ID.fullmatch(path.name)]
        except OSError:  # not made yet, or not readable: nothing to show
            return []
        found = [info for path in folders if (info := self._info(path)) is not None]
        return sorted(found, key=lambda info: (info.created, info.run_id), reverse=True)

    def open(self, run_id: str) -> Run:
        """A run for reading.

        Raises
        ------
        InputError
            There is no such run.
        """
        return Run(self.folder / run_id, self._require(run_id))

    def find(
        self,
        data_hash: str,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
        base: str = "",
    ) -> RunInfo | None:
        """The newest run of the same data with the same settings.

        ``cluster_key`` and ``basis`` left at None accept whatever the run chose by itself. Without ``base``
        fits alone are looked at: another seed of a run took that run's prepared data, and a fit that
        prepares them with this seed may differ. With the id of a run in ``base`` it is this run and all that
        belong to it, whatever for: a seed serves a sweep, and a control is told apart by its data.
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

    def delete(self, run_id: str) -> None:
        """Remove a run for good, and the controls, seeds and sweeps that belong to it.

        Raises
        ------
        InputError
            There is no such run, or it may not be removed.
        """
        self._require(run_id)
        belonging = [info.run_id for info in self.list() if info.base == run_id and info.purpose != "fit"]
        for removed in (run_id, *belonging):  # the run first: if it must stay, so must they
            self._remove(removed)

    def _remove(self, run_id: str) -> None:
        aside = self.folder / f"{DELETED}{run_id}-{secrets.token_hex(3)}"
        try:
            (self.folder / run_id).rename(aside)  # so that half a run is never listed
        except OSError as error:
            raise InputError(self._sentence(error)) from error
        shutil.rmtree(aside, ignore_errors=True)

    def _require(self, run_id: str) -> RunInfo:
        info = self._lookup(run_id)
        if info is None:
            msg = f"There is no run {run_id[:100]!r} in {self.folder}. Choose one from the list of runs."
            raise InputError(msg)
        return info

    def _require_base(self, purpose: Purpose, base: str) -> None:
        """Controls, seeds and sweeps are shown with the run they belong to, and deleted with it."""
        if purpose != "fit" and self._lookup(base) is None:
            msg = (
                "This fit belongs to another run and is not saved without it. There is no run "
                f"{base[:100]!r} in {self.folder} any more. Choose a run that is there and start the fit from it."
            )
            raise InputError(msg)

    def _lookup(self, run_id: str) -> RunInfo | None:
        return self._info(self.folder / run_id) if RUN_ID.fullmatch(run_id) else None

    def _info(self, folder: Path) -> RunInfo | None:
        """Read ``info.json``, or remember that it cannot be read: pages ask again and again."""
        try:
            changed = (folder / INFO).stat().st_mtime_ns
        except OSError:
            changed = 0
        known = self._known.get(folder.name)
        if known is None or known[0] != changed:
            known = self._known[folder.name] = (changed, _read_info(folder))
        return known[1]

    def _write(self, folder: Path, result: Result, info: dict[str, Any]) -> None:
        from safetensors.torch import save

        write_by_gene(result.adata, folder / RESULT)
        result.history.to_csv(folder / HISTORY, index=False)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in result.weights.items()}
        # not by `save_file`, whose error for a full disk is no OSError
        (folder / WEIGHTS).write_bytes(save(weights))
        text = json.dumps(info, indent=2, ensure_ascii=False, default=lambda number: number.item())
        (folder / INFO).write_text(text, encoding="utf-8")

    def _sentence(self, error: OSError) -> str:
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


def _read_info(folder: Path) -> RunInfo | None:
    try:
        values = json.loads((folder / INFO).read_text(encoding="utf-8"))
        values["settings"] = config.from_dict(values["settings"])
        if not (folder / RESULT).is_dir():
            msg = f"{RESULT} is missing"
            raise InputError(msg)
        return RunInfo(run_id=folder.name, **values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s is not a readable run and is not listed: %s", folder, error)
        return None
