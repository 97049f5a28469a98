"""Enrichr's gene-set libraries, downloaded through gseapy once and kept as GMT files."""

from __future__ import annotations

import difflib
import logging
import re
import sys
import uuid
from pathlib import Path

from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.sets import GeneSets, read_gmt
from deepvelo.wording import in_code, listed

logger = logging.getLogger(__name__)

_ENRICHR = "https://maayanlab.cloud/Enrichr"
# Seconds to wait for Enrichr. gseapy has no timeout, and retries for half a minute without a network.
_PATIENCE = 10


def library(name: str, *, folder: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Load one of Enrichr's libraries for human and mouse, from ``folder`` if it was downloaded before.

    Genes have human spelling, which `match_genes` also matches to mouse genes. For another organism, or without
    internet, read a GMT file with `read_gmt`, or save one as ``folder/NAME.gmt``.

    Parameters
    ----------
    name
        Name of the library as in Enrichr, for instance ``GO_Biological_Process_2023``.
    folder
        Folder of downloaded libraries; ``~/.cache/deepvelo/gene_sets`` by default.

    Returns
    -------
    Gene sets by name.

    Raises
    ------
    InputError
        The library does not exist, could not be downloaded, or ``folder`` is not writable.
    """
    if not re.fullmatch(r"\w[\w .+()-]{0,99}", name):
        msg = f"{in_code(name)} is not the name of a library. Give the name of one of Enrichr's, or read a file with `read_gmt`."
        raise InputError(msg)
    kept = (folder or Path.home() / ".cache" / "deepvelo" / "gene_sets") / f"{name}.gmt"
    if not kept.exists():
        _write_whole(kept, _download(name, kept))
    return read_gmt(kept)


def _download(name: str, kept: Path) -> GeneSets:
    import gseapy
    import requests

    logger.info("downloading the gene sets %s", name)
    try:
        requests.head(_ENRICHR, timeout=_PATIENCE)
        names = gseapy.get_library_name()
        # By default gseapy drops the largest sets, and fails if they are half of all sets.
        sets = gseapy.get_library(name, max_size=sys.maxsize) if name in names else None
    except Exception as error:  # no network, a proxy page or a server error have the same remedy
        unreachable = isinstance(error, requests.ConnectionError | requests.Timeout)
        reason = "Enrichr cannot be reached" if unreachable else str(error).partition("\n")[0].rstrip(".")
        msg = (
            f"The gene-set library '{name}' is not in {kept.parent} and could not be downloaded: "
            f"{reason or type(error).__name__}. Check the internet connection, or put a GMT file at {kept} yourself."
        )
        raise InputError(msg) from error
    if sets is None:
        near = difflib.get_close_matches(name, names, n=3) or sorted(names)[:3]
        msg = f"Enrichr has no library '{name}' among its {len(names)}. Did you mean one of {listed(near)}?"
        raise InputError(msg)
    return {term: genes for term, genes in sets.items() if genes}


def _write_whole(path: Path, sets: GeneSets) -> None:
    """Write a GMT file under a temporary name and rename it once complete, so no partial file is read."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    lines = ("\t".join((name, "", *genes)) + "\n" for name, genes in sets.items())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text("".join(lines), encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        msg = f"The gene sets cannot be saved to {path}: {error.strerror or error}. Choose another folder."
        raise InputError(msg) from error
