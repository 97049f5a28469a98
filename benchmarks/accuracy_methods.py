"""What is compared: every method turns a prepared data set into velocities, as `deepvelo.tl` stores them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal

import numpy as np
from anndata import AnnData
from sklearn.preprocessing import minmax_scale

from benchmarks.accuracy_scores import without_rounding
from deepvelo import config, keys, tl
from deepvelo.config import Settings
from deepvelo.datasets.simulation import simulate
from deepvelo.datasets.tissue import Kind
from deepvelo.peers import fitted_here
from deepvelo.pp.prepare import prepare
from deepvelo.tl.metrics.confidence import direction_confidence
from deepvelo.tl.velocity.baselines import ScveloMode
from deepvelo.tl.velocity.fit import fit_velocity
from deepvelo.tl.velocity.smoothing import smooth_moments, smooth_velocity

# Counts of a typical cell per gene: 2,000 over 3,000 genes, as 10x experiments have, and deep sequencing.
Depth = Literal["10x", "deep"]
COUNTS_PER_GENE: Final[dict[Depth, float]] = {"10x": 2000 / 3000, "deep": 6.0}


@dataclass(frozen=True)
class Case:
    """One simulated data set, ready for a fit, and the truth about its cells and genes."""

    prepared: AnnData
    truth: AnnData
    """The same cells and genes with the layers and columns of `deepvelo.datasets.simulation.simulate`."""
    settings: Settings
    """The default preset with the data set's seed."""

    @property
    def velocity(self) -> np.ndarray:
        """True ds/dt, in counts of a typical cell."""
        exact = without_rounding(self.truth.layers[keys.TRUE_VELOCITY], self.truth.layers[keys.TRUE_ALPHA])
        typical = float(np.median(self.truth.obs[keys.TRUE_SIZE]))
        return np.asarray(exact * self.truth.uns[keys.CAPTURE] * typical, dtype=np.float32)


def make_case(kind: Kind, depth: Depth, *, seed: int, n_cells: int, n_genes: int) -> Case:
    """Simulate and prepare."""
    return case_of(simulated(kind, depth, seed=seed, n_cells=n_cells, n_genes=n_genes), seed=seed)


def case_of(counts: AnnData, *, seed: int) -> Case:
    """Prepare simulated counts; their truth for the genes that are left."""
    settings = config.replace(config.Settings(), {"seed": seed, "training": {"device": "cpu"}})
    prepared = prepare(counts, settings, cluster_key=keys.CLUSTERS)
    return Case(prepared=prepared, truth=counts[:, prepared.var_names].copy(), settings=settings)


def simulated(kind: Kind, depth: Depth, *, seed: int, n_cells: int, n_genes: int) -> AnnData:
    """Counts of a tissue at a depth, with the truth."""
    per_cell = COUNTS_PER_GENE[depth] * n_genes
    return simulate(kind=kind, n_cells=n_cells, n_genes=n_genes, depth=per_cell, seed=seed)


# A method changes the object it is given; the settings are the default preset's, with the seed of the data set.
Method = Callable[[AnnData, Settings], None]


def scvelo(mode: ScveloMode) -> Method:
    """One of scVelo's modes as it is."""

    def fit(prepared: AnnData, settings: Settings) -> None:
        tl.scvelo_velocity(prepared, mode=mode)

    return fit


def scvelo_smoothed(mode: ScveloMode) -> Method:
    """One of scVelo's modes with the default's smoothing, of the moments before and of the velocities after."""

    def fit(prepared: AnnData, settings: Settings) -> None:
        smooth_inputs(prepared, settings)
        tl.scvelo_velocity(prepared, mode=mode)
        set_velocity(prepared, prepared.layers[keys.VELOCITY], settings)

    return fit


def preset(base: Settings, changes: dict[str, Any] | None = None) -> Method:
    """Our model with the settings given, and the data set's seed."""
    changed = config.replace(base, changes or {})

    def fit(prepared: AnnData, settings: Settings) -> None:
        own = {"seed": settings.seed, "training": {"device": "cpu"}}
        settings = config.replace(changed, own)
        fit = fit_velocity(prepared, settings=settings)
        groups = keys.CLUSTERS if keys.CLUSTERS in prepared.obs else None
        confidence = direction_confidence(prepared, settings=settings, fit=fit, cluster_key=groups)
        prepared.obs[keys.CONFIDENCE], prepared.obs[keys.UNDECIDED] = confidence.cells, confidence.undecided

    return fit


def true_rates(prepared: AnnData, case: Case) -> None:
    """The true beta and gamma on the moments: what is left is the noise of the counts, under the same smoothing."""
    smooth_inputs(prepared, case.settings)
    beta, gamma = case.truth.layers[keys.TRUE_BETA], case.truth.layers[keys.TRUE_GAMMA]
    velocity = beta * prepared.layers[keys.MU] - gamma * prepared.layers[keys.MS]
    set_velocity(prepared, velocity, case.settings)
    prepared.layers[keys.BETA], prepared.layers[keys.GAMMA] = beta, gamma
    prepared.var[keys.VELOCITY_GENES] = True


def true_velocity(prepared: AnnData, case: Case) -> None:
    """The truth under the same smoothing: what any estimate on this graph could reach."""
    smooth_inputs(prepared, case.settings)
    set_velocity(prepared, case.velocity, case.settings)
    prepared.var[keys.VELOCITY_GENES] = True


def graphvelo(prepared: AnnData, settings: Settings) -> None:
    """GraphVelo on scVelo's stochastic mode, as `deepvelo run --method graphvelo` fits it."""
    tl.scvelo_velocity(prepared, mode="stochastic")
    tl.graphvelo_velocity(prepared)


def graphvelo_smoothed(prepared: AnnData, settings: Settings) -> None:
    """The same with the default's smoothing, of the moments before and of the velocities after."""
    smooth_inputs(prepared, settings)
    graphvelo(prepared, settings)
    set_velocity(prepared, prepared.layers[keys.VELOCITY], settings)


def graphvelo_on_default(prepared: AnnData, settings: Settings) -> None:
    """GraphVelo on the velocities of the default preset."""
    preset(config.Settings())(prepared, settings)
    del prepared.obs[keys.CONFIDENCE]  # of the velocities before
    tl.graphvelo_velocity(prepared)


def velovi(prepared: AnnData, settings: Settings) -> None:
    """VeloVI (Gayoso et al. 2024) as its tutorial runs it: scaled moments, genes of scVelo's steady state, 25 samples.

    Velocities are set back to the moments' scale, in normalised counts per unit of time. Some minutes for 800 cells.
    """
    import scvi
    from scvi.external import VELOVI

    tl.scvelo_velocity(prepared, mode="steady_state")
    chosen = prepared.var[keys.VELOCITY_GENES].to_numpy()
    part = prepared[:, chosen].copy()
    largest = np.asarray(part.layers[keys.MS]).max(axis=0) - np.asarray(part.layers[keys.MS]).min(axis=0)
    for key in (keys.MS, keys.MU):
        part.layers[key] = minmax_scale(part.layers[key]).astype(np.float32)
    for name in ("scvi", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.seed = settings.seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        VELOVI.setup_anndata(part, spliced_layer=keys.MS, unspliced_layer=keys.MU)
        model = VELOVI(part)
        model.train(accelerator="cpu", enable_progress_bar=False, logger=False)
        scaled = model.get_velocity(n_samples=25, velo_statistic="mean", return_numpy=True)
        times = model.get_latent_time(n_samples=25, return_numpy=True)
    velocity = np.full(prepared.shape, np.nan, dtype=np.float32)
    # The tutorial gives every gene 20 units of time.
    velocity[:, chosen] = scaled * times.max(axis=0) / 20 * largest
    prepared.layers[keys.VELOCITY] = velocity


def smooth_inputs(prepared: AnnData, settings: Settings) -> None:
    """The moments averaged as the default averages them before a fit, in place."""
    prepared.layers[keys.MS], prepared.layers[keys.MU] = smooth_moments(prepared, settings)


def set_velocity(prepared: AnnData, velocity: np.ndarray, settings: Settings) -> None:
    """The velocity, smoothed as the default's is."""
    prepared.layers[keys.VELOCITY] = smooth_velocity(prepared, np.asarray(velocity), settings=settings)


def warm_up(case: Case) -> None:
    """Have libraries load and compile outside the measurement."""
    preset(config.Settings(), {"training": {"n_epochs": 1}})(case.prepared.copy(), case.settings)
    scvelo_smoothed("stochastic")(case.prepared.copy(), case.settings)


SMOOTHED_SCVELO: Final = ("steady_state+smooth", "stochastic+smooth", "dynamical+smooth")
SCVELO: Final = ("steady_state", "stochastic", "dynamical")
METHODS: Final[dict[str, Method]] = {
    "steady_state": scvelo("steady_state"),
    "stochastic": scvelo("stochastic"),
    "dynamical": scvelo("dynamical"),
    "steady_state+smooth": scvelo_smoothed("steady_state"),
    "stochastic+smooth": scvelo_smoothed("stochastic"),
    "dynamical+smooth": scvelo_smoothed("dynamical"),
    "published": preset(config.PUBLISHED),
    "default": preset(config.Settings()),
}
# Methods of other groups, by the package that they come with.
GRAPHVELO: Final[dict[str, Method]] = {
    "graphvelo": graphvelo,
    "graphvelo+smooth": graphvelo_smoothed,
    "graphvelo on default": graphvelo_on_default,
}
VELOVI: Final[dict[str, Method]] = {"velovi": velovi}
PEERS: Final[dict[str, Method]] = GRAPHVELO | VELOVI
SMOOTHED_PEERS: Final = ("graphvelo+smooth",)


def peers() -> dict[str, Method]:
    """Those of `PEERS` whose package is installed here (`requirements-peers.txt`)."""
    return (GRAPHVELO if "graphvelo" in fitted_here() else {}) | (VELOVI if find_spec("scvi") else {})


# What needs the truth, and so tells how far any method could come.
REFERENCES: Final[dict[str, Callable[[AnnData, Case], None]]] = {
    "true_rates": true_rates,
    "true_velocity": true_velocity,
}
