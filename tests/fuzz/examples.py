"""Examples of the fuzz test: a valid input and what is done to it; a text each, so that one can be done again."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import h5py
import numpy as np
import zarr

from tests.fuzz import files
from tests.fuzz.bases import BASES
from tests.fuzz.hdf5 import ONLY_HDF5
from tests.fuzz.trees import SHARED, Mutation, Unchanged, Unsummarized

HDF5 = ("h5ad", "h5ad_packed", "h5ad_06", "h5ad_07", "loom", "loom_old", "h5mu")
ZARR = ("zarr_2", "zarr_3", "zarr_2_zip", "zarr_3_zip")


def _in_hdf5(mutation: Mutation) -> files.Mutation:
    def change(path: Path, rng: Random) -> str:
        with h5py.File(path, "r+") as file:
            return mutation(file, rng)

    return change


def _in_zarr(mutation: Mutation) -> files.Mutation:
    def change(path: Path, rng: Random) -> str:
        root = zarr.open_group(path, mode="r+", use_consolidated=False)
        try:
            how = mutation(root, rng)
        except Unsummarized as done:
            (path / ".zmetadata").unlink(missing_ok=True)
            return str(done)
        if rng.random() < 0.7:  # else its summary is older than what it sums up
            zarr.consolidate_metadata(root.store)
            return f"{how}, in the summary too"
        return how

    return change


def _in_zip(mutation: files.Mutation) -> files.Mutation:
    def change(path: Path, rng: Random) -> str:
        with files.unzipped(path) as folder:
            return mutation(folder, rng)

    return change


def _in_file_of_run(mutation: files.Mutation, name: str) -> files.Mutation:
    return lambda path, rng: mutation(path / name, rng)


_IN_HDF5 = {name: _in_hdf5(mutation) for name, mutation in (SHARED | ONLY_HDF5).items()}
_IN_ZARR = {name: _in_zarr(mutation) for name, mutation in SHARED.items()} | files.FOLDER
_IN_RUN = {
    "info": _in_file_of_run(files.json_value, "info.json"),
    "info_text": _in_file_of_run(files.json_text, "info.json"),
    "info_bytes": _in_file_of_run(files.flip, "info.json"),
    "history": _in_file_of_run(files.lines, "history.csv"),
    "result": _in_file_of_run(files.metadata, "result.zarr"),
    "result_chunk": _in_file_of_run(files.chunk, "result.zarr"),
    "file_gone": files.file_gone,
    "file_link": files.file_link,
}

MUTATIONS: dict[str, dict[str, files.Mutation]] = {
    **dict.fromkeys(HDF5, _IN_HDF5 | files.BYTES),
    "zarr_2": _IN_ZARR,
    "zarr_3": _IN_ZARR,
    **dict.fromkeys(
        ("zarr_2_zip", "zarr_3_zip"),
        {name: _in_zip(mutation) for name, mutation in _IN_ZARR.items()}
        | files.BYTES
        | {"member": files.member},
    ),
    "h5ad_gz": files.BYTES,
    "gmt": files.BYTES | {"lines": files.lines},
    "toml": files.BYTES | {"lines": files.lines, "toml_value": files.toml_value},
    "run": _IN_RUN,
}
"""What can be done to each kind of input."""

# Most damage to bytes ends at the first look at a file.
_SELDOM = {*files.BYTES, "info_bytes"}


def offered(base: str) -> list[str]:
    """Names of mutations of a base, those that reach deep more often."""
    return [name for name in MUTATIONS[base] for _ in range(1 if name in _SELDOM else 4)]


@dataclass(frozen=True)
class Example:
    """A base, and its mutations, each with the seed of its choices."""

    base: str
    steps: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return " ".join([self.base, *(f"{name}:{seed}" for name, seed in self.steps)])

    @classmethod
    def from_text(cls, words: str) -> Example:
        """What ``str`` gave."""
        base, *steps = words.split()
        return cls(
            base, tuple((name, int(seed)) for name, _, seed in (step.partition(":") for step in steps))
        )

    def write(self, folder: Path, valid: Callable[[str], Path]) -> tuple[Path, list[str]]:
        """The input in a folder, and what was done to it, in words.

        Parameters
        ----------
        valid
            The path of a base.
        """
        source = valid(self.base)
        path = folder / source.name
        if source.is_dir():
            shutil.copytree(source, path)
        else:
            shutil.copyfile(source, path)
        done = []
        for name, seed in self.steps:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    done.append(f"{name}: {MUTATIONS[self.base][name](path, Random(seed))}")
            except Unchanged:
                done.append(f"{name}: nothing")
            except Exception as error:  # noqa: BLE001 (an earlier mutation left nothing that this library opens)
                done.append(f"{name}: nothing, {type(error).__name__}: {str(error)[:80]}")
        return path, done


class Valid:
    """Bases, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def __call__(self, base: str) -> Path:
        if base not in self._made:
            (self._folder / base).mkdir()
            self._made[base] = BASES[base](self._folder / base)
        return self._made[base]
