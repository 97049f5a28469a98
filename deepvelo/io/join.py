"""Join the counts of one file onto the cells of another."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.contents.genes import same_genes
from deepvelo.contents.groups import group_colors, group_names
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError
from deepvelo.io.matching import (
    MIN_RATE,
    Labels,
    Matching,
    are_running_numbers,
    cell_columns,
    match_cells,
)
from deepvelo.wording import listed

_N_PAIRS = 5
_MAX_SAMPLES_SHOWN = 100


@dataclass(frozen=True)
class JoinReport:
    """How well the cells of two objects matched.

    Parameters
    ----------
    rate
        Share of the processed cells found in the counts.
    genes_shared
        Processed genes that the counts have too by name, id or symbol, ignoring case and version.
    rule
        How cells were matched, as a sentence.
    pairs
        Up to five matched cells: their names in the processed object and in the counts.
    by_sample
        ``rate`` of each sample; empty where there are no samples.
    """

    n_matched: int
    n_processed: int
    n_counts: int
    rate: float
    unmatched_processed: list[str]
    unmatched_counts: list[str]
    genes_shared: int
    rule: str
    pairs: list[tuple[str, str]]
    by_sample: dict[str, float] = field(default_factory=dict)


def join(processed: AnnData, counts: AnnData) -> tuple[AnnData, JoinReport]:
    """Combine the cells of one object with the layers of another.

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
        ``counts`` lacks a layer, fewer than half of the processed cells were matched with certainty, or two ways of
        matching the cells contradict each other.

    Examples
    --------
    >>> counts = adata[:, :30].copy()
    >>> joined, report = dv.io.join(adata, counts)
    >>> joined.n_vars, report.rate
    (30, 1.0)
    """
    missing = [layer for layer in (keys.SPLICED, keys.UNSPLICED) if layer not in counts.layers]
    if missing:
        msg = (
            f"The file with the counts has no layer {' and no '.join(map(repr, missing))}. "
            f"Found {sorted(counts.layers)}. Give the file that velocyto, kb, alevin-fry or STARsolo wrote."
        )
        raise InputError(msg)
    matching = match_cells(processed.obs, counts.obs)
    report = _report(processed, counts, matching)
    if report.rate < MIN_RATE:
        raise InputError(_too_few_message(processed, counts, matching, report))
    return _joined(processed, counts, matching.partner, report), report


def _report(processed: AnnData, counts: AnnData, matching: Matching) -> JoinReport:
    found = matching.partner >= 0
    unused = np.ones(counts.n_obs, dtype=bool)
    unused[matching.partner[found]] = False
    return JoinReport(
        n_matched=int(found.sum()),
        n_processed=processed.n_obs,
        n_counts=counts.n_obs,
        rate=matching.rate,
        unmatched_processed=[str(name) for name in processed.obs_names[~found]],
        unmatched_counts=[str(name) for name in counts.obs_names[unused]],
        genes_shared=int((same_genes(processed.var, counts.var) >= 0).sum()),
        rule=matching.rule,
        pairs=_pairs(processed, counts, matching),
        by_sample=_by_sample(matching),
    )


def _pairs(processed: AnnData, counts: AnnData, matching: Matching) -> list[tuple[str, str]]:
    """Evenly spaced examples of matched cells."""
    if matching.labels is None:
        return []
    found = np.flatnonzero(matching.partner >= 0)
    chosen = found[np.unique(np.linspace(0, len(found) - 1, _N_PAIRS).astype(int))] if len(found) else found
    a, b = matching.labels
    return [(_shown(processed, a, i), _shown(counts, b, matching.partner[i])) for i in chosen]


def _shown(adata: AnnData, labels: Labels, i: int) -> str:
    name = str(adata.obs_names[i])
    return name if labels.column is None else f"{name} ({labels.texts[i]})"


def _by_sample(matching: Matching) -> dict[str, float]:
    if matching.samples is None:
        return {}
    rates = pd.Series(matching.partner >= 0).groupby(matching.samples).mean()
    return (
        {str(name): float(rate) for name, rate in rates.items()}
        if 1 < len(rates) <= _MAX_SAMPLES_SHOWN
        else {}
    )


def _too_few_message(processed: AnnData, counts: AnnData, matching: Matching, report: JoinReport) -> str:
    tables = {"processed file": processed.obs, "file with the counts": counts.obs}
    numbered = [what for what, obs in tables.items() if are_running_numbers(obs.index)]
    if numbered and not matching.found.mean() >= MIN_RATE:
        columns = {what: cell_columns(obs) for what, obs in tables.items()}
        found = "; ".join(f"{what}: {listed(names)}" for what, names in columns.items())
        return (
            f"Cells of the {' and the '.join(numbered)} are named by running numbers (such as row numbers), which do not identify a cell. "
            f"Columns of obs that look like barcodes or names: {found}. "
            "Name the cells of both files by their barcodes, or add a column with them."
        )
    shown = [listed(names[:3]) for names in (report.unmatched_processed, report.unmatched_counts)]
    examples = f"Unmatched processed: {shown[0]}; unmatched counts: {shown[1]}."
    if matching.found.mean() >= MIN_RATE:
        return (
            f"Only {report.n_matched:,} of {report.n_processed:,} processed cells ({report.rate:.0%}) were matched with "
            f"certainty: the barcodes or names of {matching.found.sum():,} are among the counts, "
            f"but it is not known which sample they come from. {examples} Put the name of the sample before each barcode "
            "or into a column 'sample', in both files."
        )
    return (
        f"Only {matching.found.sum():,} of {report.n_processed:,} processed cells ({matching.found.mean():.0%}) were found "
        f"among the {report.n_counts:,} cells with counts. {examples} "
        "Check that both files come from the same samples."
    )


def _joined(processed: AnnData, counts: AnnData, partner: np.ndarray, report: JoinReport) -> AnnData:
    found = partner >= 0
    cells, rows = processed[found], partner[found]
    tables, left_out = _tables(cells)
    joined = AnnData(
        X=None if counts.X is None else counts.X[rows],
        obs=cells.obs.copy(),
        var=counts.var.copy(),
        layers={key: layer[rows] for key, layer in counts.layers.items()},
        obsm=tables,
        obsp={key: value.copy() for key, value in cells.obsp.items()},
        varm={key: copy.copy(value) for key, value in counts.varm.items()},
        uns=copy.deepcopy(dict(processed.uns)) | _colors(processed, cells),
    )
    notes = [*stored_notes(processed), *stored_notes(counts)]
    notes.append(
        f"{found.sum():,} of {len(found):,} cells were found in the file with the counts. {report.rule}"
    )
    if left_out:
        notes.append(f"Tables of obsm that are not numeric were left out: {listed(left_out)}.")
    joined.uns[keys.NOTES] = list(dict.fromkeys(notes))
    return joined


def _colors(processed: AnnData, cells: AnnData) -> dict[str, np.ndarray]:
    """Entries of ``uns`` with the colours of groups that still have cells."""
    colors = {}
    for key in cells.obs:
        of_group = group_colors(processed, key)
        if of_group:
            groups = group_names(cells.obs[key]).cat.categories
            colors[keys.colors(key)] = np.array([of_group[group] for group in groups], dtype=object)
    return colors


def _tables(cells: AnnData) -> tuple[dict[str, Any], list[str]]:
    """``obsm`` as numeric arrays, dense or sparse, and the names of entries that are not numeric."""
    tables, left_out = {}, []
    for key, value in cells.obsm.items():
        if sparse.issparse(value):
            tables[key] = value.copy()
            continue
        try:
            tables[key] = np.array(value, dtype=None if isinstance(value, np.ndarray) else float)
        except (TypeError, ValueError):
            left_out.append(str(key))
    return tables, left_out
