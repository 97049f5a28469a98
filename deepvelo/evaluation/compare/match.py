"""Reduce several fitted objects to their shared cells and genes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepvelo import checks, keys
from deepvelo.arrays.views import dense, kept, selected
from deepvelo.contents.groups import UNASSIGNED, group_names, plain_group
from deepvelo.errors import InputError
from deepvelo.evaluation.compare import results as stored
from deepvelo.evaluation.compare.reference import chosen_basis, reference_of, stored_arrows
from deepvelo.evaluation.compare.shared import shared_rows
from deepvelo.pp.prepare import chosen_cluster_key
from deepvelo.tl.metrics.consistency import lengths
from deepvelo.tl.velocity.smoothing import GraphAverage, averaged
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

MAX_SMOOTHING = 2


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Results on shared cells and genes.

    All methods are scored with the graph, moments, embedding and groups of the first result, so that scores differ only
    by the velocities. Large layers stay on disk and are read and averaged in blocks of genes.

    ``reference``
        Cells, genes, graph, embedding and groups.
    ``moments``
        Spliced, float32 ``(n_cells, n_genes)``.
    ``velocities``
        By name of the method, float32 ``(n_cells, n_genes)``; NaN where a method has no velocity of a gene.
    ``unsmoothed``
        The velocities before smoothing by the fit, see `deepvelo.evaluation.compare.results.unsmoothed_velocity_of`.
    ``arrows``
        By name, each method's arrows on the embedding; None if they must be computed.
    ``facts``
        One row per method: ``n_cells``, ``n_genes``, ``share_of_cells``, ``share_of_genes``, ``n_velocity_genes``,
        ``seconds``, ``peak_memory_mb``, ``times_smoothed``, ``smoothed_otherwise`` (bool: moments averaged),
        ``kept_smoothing`` (bool: it cannot be undone).
    ``smooth``
        Number of times all velocities were averaged over the graph; None leaves each as fitted.
    """

    reference: AnnData
    cluster_key: str
    basis: str | None
    moments: Layer
    velocities: dict[str, Layer]
    unsmoothed: dict[str, Layer]
    arrows: dict[str, np.ndarray] | None
    facts: pd.DataFrame
    smooth: int | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def groups(self) -> pd.Series:
        """Group of every shared cell, as text."""
        return self.reference.obs[self.cluster_key]

    @cached_property
    def lengths(self) -> dict[str, np.ndarray]:
        """Length of every cell's velocity by method, shape ``(n_cells,)``."""
        return {name: lengths(velocity) for name, velocity in self.velocities.items()}

    def moving(self) -> dict[str, Layer]:
        """Velocities of the methods with any nonzero velocity."""
        return {name: v for name, v in self.velocities.items() if self.lengths[name].any()}

    @property
    def equally_smooth(self) -> bool:
        """Whether all velocities were averaged over the graph the same number of times."""
        if self.smooth is not None:
            return not self.facts["kept_smoothing"].any()
        smoothing = self.facts[["times_smoothed", "smoothed_otherwise"]]
        return len(smoothing.drop_duplicates()) < 2

    def smoothed(self, times: int | None) -> Matched:
        """Average every method's velocity 0, 1 or 2 times over the graph; None keeps the smoothing of each fit.

        Smoothing by a fit is undone first: our velocities are recomputed from the rates and the moments.

        Raises
        ------
        InputError
            ``times`` is another number.
        """
        if times is None:
            return self
        if times not in range(MAX_SMOOTHING + 1):
            msg = f"Velocities can be averaged 0 to {MAX_SMOOTHING} times over the graph. Got {times}. Choose 0, 1 or 2."
            raise InputError(msg)
        average = GraphAverage(self.reference) if times else None
        velocities = {
            name: kept(averaged(velocity, average, times=times) if average else velocity)
            for name, velocity in self.unsmoothed.items()
        }
        return dataclasses.replace(self, velocities=velocities, arrows=None, smooth=times)

    def smoothing_warnings(self) -> list[str]:
        """Warnings if the methods are not equally smooth."""
        if self.equally_smooth:
            return []
        if self.smooth is None:
            each = ", ".join(f"{name} {n}" for name, n in self.facts["times_smoothed"].items())
            return [
                f"The fits smoothed differently (velocities averaged over the graph: {each}; ours may average moments "
                "too), so consistency and coherence cannot be ranked as fitted: choose 0, 1 or 2 times for all."
            ]
        kept = self.facts.index[self.facts["kept_smoothing"]]
        return [
            f"{name} was smoothed by its fit, which cannot be undone without its rates and moments "
            f"('{keys.BETA}', '{keys.GAMMA}', '{keys.MU}'): it stays that much smoother than the others."
            for name in kept
        ]


def match(
    results: Mapping[str, AnnData], *, cluster_key: str | None = None, basis: str | None = None
) -> Matched:
    """Reduce results to their shared cells and genes in the order of the first; see `deepvelo.evaluation.compare.shared`.

    A missing velocity of a velocity gene counts as zero. Cells without any velocity are left out.

    Parameters
    ----------
    results
        Fitted objects by the name of their method; not changed. Their layers may lie on disk.
    cluster_key, basis
        Grouping and embedding; by default those of the first result's fit.

    Raises
    ------
    InputError
        A result has no velocities, names are not unique, the results share fewer than half of the cells or genes of the
        smallest, or their groups differ.
    """
    if not results:
        msg = "There is no result to compare. Found 0. Give at least one fitted file."
        raise InputError(msg)
    found = {name: stored.velocity_of(adata, name=name) for name, adata in results.items()}
    first_name, first = next(iter(results.items()))
    if keys.MS not in first.layers:
        msg = f"{first_name} has no layer '{keys.MS}'. Found {listed(sorted(first.layers))}. Give the output of a fit first."
        raise InputError(msg)
    shared, notes = shared_rows(results, with_values={name: one.values.cells for name, one in found.items()})
    cells, genes = first.obs_names[shared.cells[first_name]], first.var_names[shared.genes[first_name]]
    key = chosen_cluster_key(first, cluster_key or stored.stored_value(first, "cluster_key"))
    groups = _same_groups(results, key, cells=shared.cells, warnings=notes)
    basis = chosen_basis(first, basis)
    facts = _facts(
        results,
        {name: one.values.genes for name, one in found.items()},
        n_cells=len(cells),
        n_genes=len(genes),
    )

    def on_shared(name: str, layer: Layer) -> Layer:
        return selected(layer, cells=shared.cells[name], genes=shared.genes[name])

    velocities = {name: kept(on_shared(name, one.layer)) for name, one in found.items()}
    unsmoothed = {
        name: velocities[name] if own is None else on_shared(name, own)
        for name, own in ((name, stored.unsmoothed_velocity_of(adata)) for name, adata in results.items())
    }
    moments = kept(on_shared(first_name, dense(first.layers[keys.MS])))
    warnings: list[str] = []
    reference = reference_of(
        first, cells=cells, genes=genes, groups=groups, basis=basis, moments=moments, warnings=warnings
    )
    return Matched(
        reference=reference,
        moments=moments,
        cluster_key=key,
        basis=basis,
        velocities=velocities,
        unsmoothed=unsmoothed,
        arrows=stored_arrows(results, reference, rows=shared.cells, basis=basis),
        facts=facts,
        warnings=[*_share_warnings(facts), *notes, *_missing_warnings(found), *warnings],
    )


def _same_groups(
    results: Mapping[str, AnnData], key: str, *, cells: Mapping[str, np.ndarray], warnings: list[str]
) -> pd.Series:
    """The first result's grouping of the shared cells as text; the same in all results that have it."""
    first, *others = results
    if key not in results[first].obs:
        msg = f"{first} has no grouping '{key}'. Found {listed(checks.groupings(results[first]))}. Choose one that it has."
        raise InputError(msg)
    by_result = {
        name: group_names(adata.obs[key], missing=UNASSIGNED).iloc[cells[name]]
        for name, adata in results.items()
        if key in adata.obs
    }
    groups = by_result[first]
    for name in others:
        if name not in by_result:
            warnings.append(f"{name} has no grouping '{key}'; cells have the groups of {first}.")
        elif n_other := _n_different(by_result[name], groups):
            msg = (
                f"'{key}' sorts {number(n_other, 'cell')} of {len(groups):,} into other groups in {name} than in {first}. "
                "Choose a grouping that all results share, or fit them with the same one."
            )
            raise InputError(msg)
    return groups.cat.remove_unused_categories()


def _n_different(groups: pd.Series, others: pd.Series) -> int:
    """Number of cells with a different group, among those with a group in both."""
    pairs = zip(groups.astype(str), others.astype(str), strict=True)
    return sum(
        n
        for (name, other), n in Counter(pairs).items()
        if UNASSIGNED not in (name, other) and plain_group(name) != plain_group(other)
    )


def _facts(
    results: Mapping[str, AnnData], known: dict[str, np.ndarray], *, n_cells: int, n_genes: int
) -> pd.DataFrame:
    rows = {
        name: {
            "n_cells": adata.n_obs,
            "n_genes": adata.n_vars,
            "share_of_cells": n_cells / adata.n_obs,
            "share_of_genes": n_genes / adata.n_vars,
            "n_velocity_genes": int(known[name].sum()),
            "seconds": stored.stored_metric(adata, "seconds_train"),
            "peak_memory_mb": stored.stored_metric(adata, "peak_memory_mb"),
            "times_smoothed": stored.times_smoothed(adata),
            "smoothed_otherwise": stored.averages_moments(adata),
            "kept_smoothing": stored.has_fixed_smoothing(adata),
        }
        for name, adata in results.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def _missing_warnings(found: Mapping[str, stored.Velocities]) -> list[str]:
    return [
        f"{one.values.n_missing:,} velocities of {name} are missing (NaN or infinite) and count as zero."
        for name, one in found.items()
        if one.values.n_missing
    ]


def _share_warnings(facts: pd.DataFrame) -> list[str]:
    return [
        f"Of {name}, {row.share_of_cells:.0%} of the cells and {row.share_of_genes:.0%} of the genes are shared by all "
        "and scored."
        for name, row in facts.iterrows()
        if row.share_of_cells < 1 or row.share_of_genes < 1
    ]
