"""Lineages of the real cells of the mouse dentate gyrus, of which the granule lineage is known.

What comes before what is known from the biology (Hochgerner et al. 2018, Nature Neuroscience 21:290), and markers are
made from the data's own cell types. Table 1 is given with the lineage's end as each method finds it, and with the end
chosen by hand for all of them: a method that does not find it has only this, and methods with the same end compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from deepvelo import config, keys, tl, workflow
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.markers import markers_by_group
from deepvelo.tl.gene_sets.sets import GeneSets
from deepvelo.tl.gene_sets.table_one import table_one

if TYPE_CHECKING:
    from anndata import AnnData

PATH: Final = ("nIPC", "Neuroblast", "Granule immature", "Granule mature")
LINEAGE: Final = PATH[-1]
FOUND: Final = "end as found"
BY_HAND: Final = "end by hand"
SHOWN: Final = ("tested", "drivers", "markers", "markers_share", "markers_p", "markers_genes")


def measure(cells: AnnData, *, methods: Mapping[str, str], seeds: Sequence[int]) -> pd.DataFrame:
    """A row for each method and, for the default, which alone draws at random, each seed.

    ``methods`` gives the setting ``method`` for the name of each row.
    """
    markers = markers_by_group(cells, keys.CLUSTERS)
    rows = []
    for method, fitted_by in methods.items():
        for seed in seeds if method == "default" else seeds[:1]:
            changes = {"seed": seed, "method": fitted_by, "training": {"device": "cpu"}}
            settings = config.replace(config.Settings(), changes)
            fitted = workflow.run(cells, settings, cluster_key=keys.CLUSTERS).adata
            rows.append({"method": method, "seed": seed} | score(fitted, markers=markers))
    return pd.DataFrame(rows)


def score(fitted: AnnData, *, markers: GeneSets) -> dict[str, Any]:
    """What is found of the granule lineage without help, and its row of Table 1."""
    trajectory = tl.trajectory(fitted, cluster_key=keys.CLUSTERS)
    groups = fitted.obs[keys.CLUSTERS].astype(str)
    found: dict[str, Any] = {"last groups": ", ".join(trajectory.last_groups)}
    for name in ("latent_time", "pseudotime"):
        means = pd.Series(getattr(trajectory, name)).groupby(groups.to_numpy()).mean().reindex(PATH)
        found[name] = " ".join(f"{value:.2f}" for value in means)
        found[f"{name} in order"] = bool((means.diff().iloc[1:] > 0).all())
    for edge in pairwise(PATH):
        found[" > ".join(edge)] = direction(trajectory.edges, *edge)
    for end, chosen in ((FOUND, None), (BY_HAND, [LINEAGE])):
        try:
            fates = tl.fates(fitted, cluster_key=keys.CLUSTERS, terminal=chosen)
        except InputError as error:  # none is found
            found["terminal states"] = str(error)
            continue
        if chosen is None:
            found["terminal states"] = ", ".join(fates.terminal)
        if LINEAGE in fates.terminal:
            drivers = tl.drivers(fitted, fates, pseudotime=trajectory.latent_time)
            row = table_one({"": drivers}, lineages=[LINEAGE], markers=markers).rows.iloc[0]
            found |= {f"{end}: {name}": row[name] for name in SHOWN}
    return found | {"markers known": len(markers[LINEAGE])}  # all of them found tells no method from another


def direction(edges: pd.DataFrame, source: str, target: str) -> str:
    """Whether an edge is there, and which way, with its confidence and the share of the arrows that agree."""
    for one, other, name in ((source, target, "right"), (target, source, "reversed")):
        edge = edges[(edges["source"] == one) & (edges["target"] == other)]
        if len(edge):
            return f"{name}, {edge['confidence'].iloc[0]:.2f}, {edge['agreement'].iloc[0]:.0%}"
    return "none"


def text(rows: pd.DataFrame) -> str:
    """The rows as two tables, a column a fit."""
    named = rows.set_index(rows["method"] + ", seed " + rows["seed"].astype(str)).drop(
        columns=["method", "seed"]
    )
    in_table = [name for name in named if name.startswith((FOUND, BY_HAND))]
    counts = [name for name in in_table if not name.endswith("_genes")]
    counted = named[counts].map(lambda value: "-" if pd.isna(value) else f"{value:.3g}")
    return (
        f"Mean times along {' < '.join(PATH)}\n{named.drop(columns=in_table).T.to_string()}\n\n"
        f"Table 1, lineage {LINEAGE}, markers from the data's own cell types\n{counted.T.to_string()}"
    )
