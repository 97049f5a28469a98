"""Public data sets, downloaded once with scVelo and cached in a folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from deepvelo.errors import InputError
from deepvelo.io.read import read
from deepvelo.io.write import write_h5ad

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)

# Functions of `scvelo.datasets` that download spliced and unspliced counts.
NAMES: dict[str, str] = {
    "bonemarrow": "Human bone marrow, haematopoiesis (Setty et al. 2019)",
    "dentategyrus": "Mouse dentate gyrus, granule neurons and other types (Hochgerner et al. 2018)",
    "dentategyrus_lamanno": "Mouse hippocampus at birth, branching lineages (La Manno et al. 2018)",
    "forebrain": "Human forebrain at week 10, glutamatergic neurons (La Manno et al. 2018)",
    "gastrulation": "Mouse gastrulation, whole embryo, a large set (Pijuan-Sala et al. 2019)",
    "gastrulation_e75": "Mouse gastrulation at day 7.5 (Pijuan-Sala et al. 2019)",
    "gastrulation_erythroid": "Mouse gastrulation, red blood cells (Pijuan-Sala et al. 2019)",
    "pancreas": "Mouse pancreas at day 15.5, endocrine cells (Bastidas-Ponce et al. 2019)",
    "pbmc68k": "Human blood, mature cells: a control without development (Zheng et al. 2017)",
}
# a download changes scanpy's cache folder, which is global to the process
_DOWNLOADING = threading.Lock()
_LOOM = ("dentategyrus_lamanno", "forebrain")


def load(name: str, *, folder: Path) -> AnnData:
    """Load a public data set by name, from ``folder`` if it was downloaded before.

    Raises
    ------
    InputError
        There is no set of that name, it could not be downloaded, or ``folder`` may not be written.
    """
    fetch(name, folder=folder)
    return read(_path(name, folder))


def is_downloaded(name: str, *, folder: Path) -> bool:
    """Whether a public set was downloaded into ``folder`` before.

    Raises
    ------
    InputError
        There is no set of that name.
    """
    return _path(name, folder).exists()


def fetch(name: str, *, folder: Path) -> None:
    """Download a public set into ``folder`` unless it is there.

    Raises
    ------
    InputError
        There is no set of that name, it could not be downloaded, or ``folder`` may not be written.
    """
    target = _path(name, folder)
    if target.exists():
        return
    with _DOWNLOADING:
        if not target.exists():  # another thread may have downloaded it
            _download(name, target)


def _path(name: str, folder: Path) -> Path:
    if name not in NAMES:
        msg = f"There is no public set {name[:100]!r}. Found {', '.join(NAMES)}. Choose one of them."
        raise InputError(msg)
    return folder / f"{name}.h5ad"


def _download(name: str, target: Path) -> None:
    """Download into a temporary folder and write the result atomically."""
    import scanpy as sc
    import scvelo as scv

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    except OSError as error:
        msg = f"{target.parent} cannot be written, so '{name}' cannot be kept: {error.strerror}. Choose another folder."
        raise InputError(msg) from error
    cache = sc.settings.cachedir
    sc.settings.cachedir = partial  # scanpy would write into the working directory
    try:
        logger.info("downloading %s", name)
        with warnings.catch_warnings(action="ignore"):
            source = partial / f"{name}{'.loom' if name in _LOOM else '.h5ad'}"
            adata = getattr(scv.datasets, name)(file_path=source)
        write_h5ad(adata, target)
    except InputError:
        raise
    except Exception as error:  # no network, a moved file or a damaged one
        reason = str(getattr(error, "reason", error)).partition("\n")[0].rstrip(".") or type(error).__name__
        msg = (
            f"The public set '{name}' could not be downloaded: {reason}. "
            f"Check the internet connection, or put the file at {target} yourself."
        )
        raise InputError(msg) from error
    finally:
        sc.settings.cachedir = cache
        shutil.rmtree(partial, ignore_errors=True)
