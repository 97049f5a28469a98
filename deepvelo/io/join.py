"""Put the counts of one file onto the cells of another, whatever their barcodes are dressed in.

The same cell is ``AAACCTGAGAAACCAT-1`` to Cell Ranger, ``sample1:AAACCTGAGAAACCATx`` to velocyto and
``sample1_AAACCTGAGAAACCAT-1-0`` after two objects were concatenated. The nucleotides are compared first; where
several samples share a barcode, what stands around it must tell them apart, or the cell stays unmatched.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from deepvelo import keys
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BARCODE = re.compile(r"[ACGT]{12,}")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_MIN_RATE = 0.5
# One sample's suffix is taken to mean another's prefix when this share of this many cells agrees.
_AGREEMENT, _MIN_WITNESSES = 0.9, 5


@dataclass(frozen=True)
class JoinReport:
    """How well two objects' cells met; ``rate`` is the share of the processed cells found in the counts."""

    n_matched: int
    n_processed: int
    n_counts: int
    rate: float
    unmatched_processed: list[str]
    unmatched_counts: list[str]
    genes_shared: int


def join(processed: AnnData, counts: AnnData) -> tuple[AnnData, JoinReport]:
    """Cells of one object with the layers of another.

    Parameters
    ----------
    processed
        Has groups and embeddings; its ``obs``, ``obsm``, ``obsp`` and ``uns`` are kept.
    counts
        Has the layers ``spliced`` and ``unspliced``; all its genes, ``X`` and ``layers`` are kept.

    Returns
    -------
    Matched cells in the order and with the names of ``processed`` x genes of ``counts``; and the report.
    Neither object is changed.

    Raises
    ------
    InputError
        ``counts`` lacks a layer, or fewer than half of the processed cells were found in it.
    """
    missing = [layer for layer in (keys.SPLICED, keys.UNSPLICED) if layer not in counts.layers]
    if missing:
        msg = (
            f"The file with the counts has no layer {' and no '.join(map(repr, missing))}. "
            f"Found {sorted(counts.layers)}. Give the loom or h5ad file that velocyto, kb or alevin-fry wrote."
        )
        raise InputError(msg)
    partner = match(list(processed.obs_names), list(counts.obs_names))
    found = partner >= 0
    unused = np.ones(counts.n_obs, dtype=bool)
    unused[partner[found]] = False
    report = JoinReport(
        n_matched=int(found.sum()),
        n_processed=processed.n_obs,
        n_counts=counts.n_obs,
        rate=float(found.mean()) if len(found) else 0.0,
        unmatched_processed=[str(name) for name in processed.obs_names[~found]],
        unmatched_counts=[str(name) for name in counts.obs_names[unused]],
        genes_shared=len(processed.var_names.intersection(counts.var_names)),
    )
    if report.rate < _MIN_RATE:
        raise InputError(_too_few(report))
    return _joined(processed, counts, partner), report


def match(processed: Sequence[str], counts: Sequence[str]) -> np.ndarray:
    """For each processed name, the position of the same cell among ``counts``; -1 where none or several fit.

    Returns
    -------
    Shape ``(n_processed,)``, int; no position occurs twice.
    """
    left, right = _parse(processed), _parse(counts)
    partner = np.full(len(left), -1)
    exact = pd.Series(np.arange(len(right)), index=right["name"])
    exact = exact[~exact.index.duplicated(keep=False)]
    same = (left["name"].isin(exact.index) & ~left["name"].duplicated(keep=False)).to_numpy()
    partner[same] = exact.loc[left["name"][same]].to_numpy()

    taken = right.index.isin(partner[same])
    pairs = left[~same].reset_index().merge(right[~taken].reset_index(), on="core", suffixes=("_p", "_c"))
    alone_left = ~left["core"].duplicated(keep=False)
    alone_right = ~right["core"].duplicated(keep=False)
    pairs["alone"] = (
        alone_left.loc[pairs["index_p"]].to_numpy() & alone_right.loc[pairs["index_c"]].to_numpy()
    )

    tags = list(zip(pairs["tags_p"], pairs["tags_c"], strict=True))
    meaning = _sample_meaning(pairs)
    agrees = np.array([meaning.get(a) == b for a, b in tags], dtype=bool)
    alike = np.array([_alike(a, b) for a, b in tags], dtype=bool)
    known = np.array([a in meaning for a, _ in tags], dtype=bool)
    accepted = pairs[np.where(known, agrees, pairs["alone"].to_numpy(dtype=bool) | alike)]
    unique = ~accepted["index_p"].duplicated(keep=False) & ~accepted["index_c"].duplicated(keep=False)
    partner[accepted["index_p"][unique]] = accepted["index_c"][unique]
    return partner


def _parse(names: Sequence[str]) -> pd.DataFrame:
    """Each name's barcode (``core``) and the other words in it, which tell the sample (``tags``)."""
    cores, tags = [], []
    for name in names:
        barcodes = _BARCODE.findall(name)
        if barcodes:
            cores.append("-".join(barcodes))
            words = _SEPARATORS.split(re.sub(r"([ACGT]{12,})x\b", r"\1", name))
            rest = (_BARCODE.sub("", word).lower() for word in words)
            tags.append(frozenset(word for word in rest if word))
        else:
            cores.append(_SEPARATORS.sub("", name).lower())
            tags.append(frozenset())
    return pd.DataFrame({"name": list(names), "core": cores, "tags": tags})


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """One name says about the sample all that the other says."""
    return bool(a and b) and (a <= b or b <= a)


def _sample_meaning(pairs: pd.DataFrame) -> dict[frozenset[str], frozenset[str]]:
    """What a processed sample's words are called in the counts, as the barcodes that occur once bear witness."""
    meaning = {}
    witnesses = pairs[pairs["alone"] & (pairs["tags_p"].map(len) > 0)]
    for tags, group in witnesses.groupby("tags_p", sort=False)["tags_c"]:
        tally = group.value_counts()
        if len(group) >= _MIN_WITNESSES and tally.iloc[0] >= _AGREEMENT * len(group):
            meaning[tags] = tally.index[0]
    return meaning


def _too_few(report: JoinReport) -> str:
    shown = [
        ", ".join(repr(n) for n in names[:3]) or "none"
        for names in (report.unmatched_processed, report.unmatched_counts)
    ]
    return (
        f"Only {report.n_matched:,} of {report.n_processed:,} processed cells ({report.rate:.0%}) were found among the "
        f"{report.n_counts:,} cells with counts. Unmatched processed: {shown[0]}; unmatched counts: {shown[1]}. "
        "Check that both files are of the same samples."
    )


def _joined(processed: AnnData, counts: AnnData, partner: np.ndarray) -> AnnData:
    found = partner >= 0
    cells, rows = processed[found], partner[found]
    joined = AnnData(
        X=None if counts.X is None else counts.X[rows],
        obs=cells.obs.copy(),
        var=counts.var.copy(),
        layers={key: layer[rows] for key, layer in counts.layers.items()},
        obsm={key: np.array(value) for key, value in cells.obsm.items()},
        obsp={key: value.copy() for key, value in cells.obsp.items()},
        uns=copy.deepcopy(dict(processed.uns)),
    )
    notes = [
        str(n)
        for source in (processed, counts)
        for n in np.atleast_1d(source.uns.get(keys.NOTES, np.array([], str)))
    ]
    notes.append(f"{found.sum():,} of {len(found):,} cells were found in the file with the counts.")
    joined.uns[keys.NOTES] = notes
    return joined
