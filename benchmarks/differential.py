"""Measure the comparison of rates: false discoveries, power for planted genes, and time.

``python benchmarks/differential.py --seeds 0 1`` fits simulated tissue and prints, for every quantity,

* the share of genes with q < 0.05 between random halves of a cell type, and between halves that lie apart: cut along a
  principal axis or in a random direction. No rate of ``static`` and no beta and gamma of ``branch`` truly differ;
* power and false discoveries for 50 of 300 genes whose gamma is twice as high in half of the cells, ``linear``, 300 cells a
  side: as fitted, and with the doubling put into the fitted rates of a tissue without it, which measures the test alone.

``--time 100000`` measures seconds and memory of random layers on disk, 2,000 genes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

N_GENES, N_PLANTED, FOLD = 300, 50, 2.0
SIGNIFICANT: Final = 0.05
DEEP: Final = {"deep": 6.0, "very deep": 66.0}  # median spliced counts per cell, for each gene
QUANTITIES: Final = ("alpha", "beta", "gamma", "gamma/beta", "velocity", "spliced", "unspliced")
_WELL_EXPRESSED: Final = 0.3  # genes with a lower mean than this share of genes are not planted


def planted(*, seed: int, per_gene: float, n_cells: int = 600) -> tuple[AnnData, np.ndarray, np.ndarray]:
    """One lineage, in half of whose cells gamma of 50 genes is doubled.

    Returns
    -------
    Counts; the cells with doubled gamma, bool ``(n_cells,)``; the genes, bool ``(n_genes,)``.
    """
    from anndata import AnnData

    from deepvelo import keys
    from deepvelo.datasets.kinetics import Kinetics
    from deepvelo.datasets.simulation import DISPERSION, draw

    adata, truth = draw(kind="linear", n_cells=n_cells, n_genes=N_GENES, depth=per_gene * N_GENES, seed=seed)
    rng = np.random.default_rng([seed, 99])
    mean = truth.expected_counts()[0].mean(axis=0)
    doubled = np.zeros(N_GENES, dtype=bool)
    expressed = np.flatnonzero(mean >= np.quantile(mean, _WELL_EXPRESSED))
    doubled[rng.choice(expressed, N_PLANTED, replace=False)] = True
    before = truth.kinetics
    if not isinstance(before, Kinetics):
        raise TypeError
    fold = np.where(doubled, FOLD, 1.0)
    twice = {name: np.concatenate([getattr(before, name)] * 2) for name in ("knots", "alpha", "beta", "u0")}
    kinetics = Kinetics(
        **twice,
        gamma=np.concatenate([before.gamma, before.gamma * fold]),
        s0=np.concatenate([before.s0, before.s0 / fold]),
    )
    side = np.arange(n_cells) % 2 == 1
    truth = replace(
        truth, kinetics=kinetics, lineage=truth.lineage + side, lineages=("as it was", "gamma doubled")
    )
    spliced, unspliced = (
        rng.poisson(expected * rng.gamma(1 / DISPERSION, DISPERSION, expected.shape)).astype(np.float32)
        for expected in truth.expected_counts()
    )
    counts = {keys.SPLICED: spliced, keys.UNSPLICED: unspliced}
    return AnnData(spliced, obs=adata.obs, var=adata.var, layers=counts), side, doubled


def halves(adata: AnnData, cells: np.ndarray, *, apart: bool, n: int, seed: int) -> list[np.ndarray]:
    """Masks of one half of some cells: ``n`` at random, or cut by planes, the first three along principal axes."""
    from deepvelo import keys

    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(cells)
    points = adata.obsm[keys.X_PCA][rows].astype(float)
    points -= points.mean(axis=0)
    axes = np.linalg.svd(points, full_matrices=False)[2][:3]
    found = []
    for number in range(n):
        axis = axes[number] if number < len(axes) else rng.normal(size=points.shape[1])
        order = np.argsort(points @ axis) if apart else rng.permutation(len(rows))
        half = np.zeros(adata.n_obs, dtype=bool)
        half[rows[order[: len(rows) // 2]]] = True
        found.append(half)
    return found


def shares_found(adata: AnnData, cells: np.ndarray, *, apart: bool, n: int, seed: int) -> pd.DataFrame:
    """Share of genes with q < 0.05 by quantity, one row per split of some cells, a mask."""
    import pandas as pd

    import deepvelo as dv

    rows = []
    for half in halves(adata, cells, apart=apart, n=n, seed=seed):
        table = dv.tl.differential_kinetics(adata, half, cells & ~half)
        rows.append((table["q"] < SIGNIFICANT).groupby(table["quantity"]).mean())
    return pd.DataFrame(rows)[list(QUANTITIES)]


def power(table: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """Share of the planted genes that are found, and share of what is found that is not planted, by quantity."""
    import pandas as pd

    found = table[table["q"] < SIGNIFICANT]
    right = found["gene"].isin(genes)
    n_found = found.groupby("quantity").size().reindex(QUANTITIES, fill_value=0)
    n_right = found[right].groupby("quantity").size().reindex(QUANTITIES, fill_value=0)
    return pd.DataFrame({"power": n_right / len(genes), "wrong": (n_found - n_right) / n_found.clip(lower=1)})


def doubled_in_fit(adata: AnnData, *, side: np.ndarray, genes: np.ndarray) -> AnnData:
    """The fit with gamma of some genes doubled on one side."""
    from deepvelo import keys

    changed = adata.copy()
    changed.layers[keys.GAMMA][np.ix_(side, genes)] *= FOLD
    return changed


def fit(adata: AnnData, *, n_epochs: int | None) -> None:
    import deepvelo as dv

    dv.pp.moments(adata, n_top_genes=adata.n_vars, min_shared_counts=5, cluster_key="clusters")
    dv.tl.velocity(adata, device="cpu", n_epochs=n_epochs)


def _nulls(seeds: list[int], n_epochs: int | None) -> None:
    import deepvelo as dv

    for kind, groups in (("static", ("Type 1", "Type 2")), ("branch", ("Root", "Early A"))):
        for seed in seeds:
            adata = dv.datasets.simulate(
                kind=kind, n_cells=1500, n_genes=N_GENES, depth=DEEP["deep"] * N_GENES, seed=seed
            )
            fit(adata, n_epochs=n_epochs)
            for group in groups:
                cells = (adata.obs["clusters"] == group).to_numpy()
                for apart in (False, True):
                    shares = shares_found(adata, cells, apart=apart, n=20, seed=seed)
                    where = "apart" if apart else "random"
                    told = "  ".join(
                        f"{name} {shares[name].mean():.3f} ({shares[name].max():.2f})" for name in QUANTITIES
                    )
                    print(f"{kind} seed {seed} {group}, {where} halves, mean (most): {told}", flush=True)
                _spiked(adata, group, seed=seed)


def _spiked(adata: AnnData, group: str, *, seed: int) -> None:
    """Double gamma in the fitted rates of 300 cells a side or of half the group."""
    import deepvelo as dv

    cells = (adata.obs["clusters"] == group).to_numpy()
    known = np.flatnonzero(adata.var["velocity_genes"])
    for apart in (False, True):
        parts = []
        for number, half in enumerate(halves(adata, cells, apart=apart, n=5, seed=seed)):
            genes = np.random.default_rng([seed, number]).choice(known, N_PLANTED, replace=False)
            changed = doubled_in_fit(adata, side=half, genes=genes)
            table = dv.tl.differential_kinetics(changed, half, cells & ~half)
            parts.append(power(table, adata.var_names[genes]).loc["gamma"])
        where = "apart" if apart else "random"
        found = (
            sum(part["power"] for part in parts) / len(parts),
            sum(part["wrong"] for part in parts) / len(parts),
        )
        print(
            f"  gamma doubled in the fit, {group} ({cells.sum()} cells), {where} halves: power {found[0]:.2f}, wrong {found[1]:.2f}"
        )


def _planted(seeds: list[int], n_epochs: int | None) -> None:
    import deepvelo as dv

    for depth, per_gene in DEEP.items():
        for seed in seeds:
            adata, side, genes = planted(seed=seed, per_gene=per_gene)
            names = adata.var_names[genes]
            adata.obs["side"] = side
            fit(adata, n_epochs=n_epochs)
            found = power(dv.tl.differential_kinetics(adata, adata.obs["side"]), names)
            told = "  ".join(
                f"{name} {found.power[name]:.2f} ({found.wrong[name]:.2f})"
                for name in ("gamma", "gamma/beta")
            )
            print(f"gamma doubled in the truth, {depth}, seed {seed}: power (wrong) {told}", flush=True)


def _time(n_cells: int) -> None:
    import pandas as pd
    import scipy.stats  # noqa: F401  the app has loaded it
    from anndata import AnnData

    import deepvelo as dv
    from deepvelo import keys
    from deepvelo.arrays.layers import gene_blocks, new_layer

    rng = np.random.default_rng(0)
    n_genes = 2000
    with tempfile.TemporaryDirectory() as folder:
        adata = AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(n_cells)]), shape=(n_cells, n_genes))
        adata.obsm[keys.X_PCA] = rng.normal(size=(n_cells, 20)).astype(np.float32)
        for key in (*keys.RATES, keys.VELOCITY, keys.MS, keys.MU):
            layer = new_layer((n_cells, n_genes), path=Path(folder) / key)
            for genes in gene_blocks(layer):
                layer[:, genes] = rng.gamma(2, 1, (n_cells, genes.stop - genes.start)).astype(np.float32)
            adata.layers[key] = layer
        chosen = np.arange(n_cells) < n_cells // 3
        before, start, cpu = _memory(), time.perf_counter(), time.process_time()
        dv.tl.differential_kinetics(adata, chosen)
        print(
            f"{n_cells:,} cells x {n_genes:,} genes on disk: {time.perf_counter() - start:.1f} s, "
            f"{time.process_time() - cpu:.1f} s of processor, {_memory() - before:.0f} MB more at the peak"
        )


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, help="of each fit; by default the preset's")
    parser.add_argument("--time", type=int, metavar="CELLS", help="measure time and memory instead")
    chosen = parser.parse_args()
    if chosen.time:
        _time(chosen.time)
        return
    _nulls(chosen.seeds, chosen.epochs)
    _planted(chosen.seeds, chosen.epochs)


if __name__ == "__main__":
    main()
