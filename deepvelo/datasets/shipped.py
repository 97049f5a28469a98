"""The simulated data set shipped with the project; ``python -m deepvelo.datasets.shipped`` regenerates it."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from anndata import AnnData

from deepvelo.datasets.simulation import draw
from deepvelo.datasets.truth import Truth
from deepvelo.errors import InputError
from deepvelo.io.read import read
from deepvelo.places import ROOT

FOLDER: Final = ROOT / "sample_data"
LABEL: Final = "Simulated dentate gyrus (not measured data)"
SETTINGS: Final[dict[str, Any]] = {
    "kind": "dentate",
    "n_cells": 3000,
    "n_genes": 800,
    "depth": 2000.0,
    "seed": 0,
}

log = logging.getLogger(__name__)


def path() -> Path:
    """Path of the shipped counts with groups, without the truth."""
    return _shipped("simulated_dentate_gyrus.h5ad")


def truth_path() -> Path:
    """Path of the true rates, velocity and time of the shipped cells."""
    return _shipped("simulated_dentate_gyrus_truth.npz")


def sample() -> AnnData:
    """Read the sample: counts and groups of simulated cells in the shape of the mouse dentate gyrus.

    Not measured data. ``docs/simulation.md`` tells how it was made; `load_truth` attaches its true rates and velocity.

    Returns
    -------
    3,000 cells x 800 genes: layers ``spliced`` and ``unspliced`` (CSR, float32, counts), ``obs["clusters"]``.

    Raises
    ------
    InputError
        The file is not where the project ships it.

    Examples
    --------
    >>> adata = dv.datasets.sample()
    >>> adata.shape
    (3000, 800)
    """
    return read(path())


def load_truth() -> AnnData:
    """The sample with the truth attached, as :func:`deepvelo.datasets.simulation.simulate` gives it."""
    adata = sample()
    Truth.load(truth_path()).attach(adata)
    return adata


def make(folder: Path) -> tuple[Path, Path]:
    """Simulate the sample again and write both files into a folder; each appears only once it is complete."""
    adata, truth = draw(**SETTINGS)
    counts_file = folder / "simulated_dentate_gyrus.h5ad"
    truth_file = folder / "simulated_dentate_gyrus_truth.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(counts_file, lambda file: adata.write_h5ad(file, compression="gzip", compression_opts=9))
        _write_whole(truth_file, truth.save)
    except OSError as error:
        msg = f"The sample could not be written to {folder}: {error.strerror or error}. Choose a folder with room that you may write to."
        raise InputError(msg) from error
    return counts_file, truth_file


def _write_whole(target: Path, write: Callable[[Path], None]) -> None:
    partial = target.with_name(f"partial_{target.name}")
    try:
        write(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _shipped(name: str) -> Path:
    file = FOLDER / name
    if not file.is_file():
        msg = (
            f"The sample file {name} is not in {FOLDER}. Make it with `python -m deepvelo.datasets.shipped`."
        )
        raise InputError(msg)
    return file


def main() -> None:
    """Write the sample to ``sample_data/``, or to the folder given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for file in make(parser.parse_args().folder):
        log.info("%s  %.2f MB", file, file.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
