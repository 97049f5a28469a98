"""The ground truth of a simulation, small enough to be shipped beside the counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData

from deepvelo import keys
from deepvelo.datasets.batches import BatchEffects
from deepvelo.datasets.genes import BoolArray
from deepvelo.datasets.kinetics import FloatArray, IntArray, Kinetics, States
from deepvelo.errors import InputError

_BATCHES: Final = "batches_"  # begins the names of their arrays in a file
_MOLECULES: Final = "molecules_"


@dataclass(frozen=True)
class Molecules:
    """RNA that single cells hold, where it is more than their expected dynamics say.

    Each of shape ``(n_cells, n_genes)``, in molecules per cell.
    """

    u: FloatArray
    """Unspliced RNA, with transcripts that are never spliced."""
    s: FloatArray


@dataclass(frozen=True)
class Truth:
    """Rates of every gene on every lineage, and lineage and time of each cell.

    RNA is counted in molecules per cell, before capture; :meth:`expected_counts` are what is left of it.
    """

    kinetics: Kinetics | States
    """Rates on every lineage; or the states of the cells, where rates follow a network or latent factors."""
    lineages: tuple[str, ...]
    lineage: IntArray
    """Index of each cell's lineage, shape ``(n_cells,)``."""
    time: FloatArray
    """Time of each cell, from the start of its root lineage, shape ``(n_cells,)``; no physical unit."""
    size: FloatArray
    """How much more of its RNA was caught than in a typical cell, shape ``(n_cells,)``."""
    capture: float
    """Share of a typical cell's RNA that was caught and sequenced."""
    rates_differ: BoolArray
    """Whether the gene's beta and gamma differ between lineages, shape ``(n_genes,)``."""
    batches: BatchEffects | None = None
    """None if all cells were measured alike."""
    molecules: Molecules | None = None
    """None if every cell holds exactly the RNA of :meth:`states`."""

    def states(self) -> States:
        """True rates and RNA of every cell and gene, as the expected dynamics have them at the cell's time."""
        if isinstance(self.kinetics, States):
            return self.kinetics
        return self.kinetics.at(self.lineage, self.time)

    def expected_counts(self) -> tuple[FloatArray, FloatArray]:
        """Mean of the spliced and of the unspliced counts, each ``(n_cells, n_genes)``.

        ``capture * size * s`` and ``capture * size * u`` of the molecules a cell holds; in batches times the
        batch's factor of the gene, and u times the batch's factor of unspliced RNA.
        """
        rna = self.molecules or self.states()
        caught = self.capture * self.size[:, None]
        if self.batches is None:
            return caught * rna.s, caught * rna.u
        spliced = caught * self.batches.genes[self.batches.batch]
        unspliced = spliced * self.batches.unspliced[self.batches.batch, None]
        return spliced * rna.s, unspliced * rna.u

    def attach(self, adata: AnnData) -> None:
        """Add time, lineage, rates and velocity to the cells they belong to, in place."""
        states = self.states()
        layers = {
            keys.TRUE_ALPHA: states.alpha,
            keys.TRUE_BETA: states.beta,
            keys.TRUE_GAMMA: states.gamma,
            keys.TRUE_VELOCITY: states.ds,
            keys.TRUE_VELOCITY_U: states.du,
        }
        for key, values in layers.items():
            adata.layers[key] = values.astype(np.float32)
        adata.obs[keys.TRUE_TIME] = self.time
        adata.obs[keys.TRUE_SIZE] = self.size
        adata.obs[keys.LINEAGE] = pd.Categorical.from_codes(self.lineage, categories=list(self.lineages))
        adata.var[keys.RATES_DIFFER] = self.rates_differ
        adata.uns[keys.CAPTURE] = self.capture
        if self.batches is not None:
            adata.varm[keys.GENE_CAPTURE] = self.batches.genes.T
            adata.obs[keys.UNSPLICED_CAPTURE] = self.batches.unspliced[self.batches.batch]

    def save(self, path: Path) -> None:
        """Write everything to a compressed ``.npz`` file, without loss."""
        arrays = {name: getattr(self.kinetics, name) for name in _names(type(self.kinetics))}
        own = set(_names(Truth)) - {"kinetics", "batches", "molecules"}
        arrays |= {name: np.asarray(getattr(self, name)) for name in sorted(own)}
        if self.batches is not None:
            names = _names(BatchEffects)
            arrays |= {_BATCHES + name: np.asarray(getattr(self.batches, name)) for name in names}
        if self.molecules is not None:
            arrays |= {_MOLECULES + name: getattr(self.molecules, name) for name in _names(Molecules)}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what :meth:`save` wrote; an `InputError` says so if the file is not that."""
        try:
            with np.load(path, allow_pickle=False) as file:
                stored = dict(file)
            kind = Kinetics if "knots" in stored else States
            kinetics = kind(**{name: stored[name] for name in _names(kind)})
            batches = molecules = None
            if any(name.startswith(_BATCHES) for name in stored):
                batches = BatchEffects(
                    names=tuple(stored[_BATCHES + "names"].tolist()),
                    **{name: stored[_BATCHES + name] for name in _names(BatchEffects) if name != "names"},
                )
            if any(name.startswith(_MOLECULES) for name in stored):
                molecules = Molecules(**{name: stored[_MOLECULES + name] for name in _names(Molecules)})
            return cls(
                kinetics=kinetics,
                lineages=tuple(stored["lineages"].tolist()),
                lineage=stored["lineage"],
                time=stored["time"],
                size=stored["size"],
                capture=float(stored["capture"]),
                rates_differ=stored["rates_differ"],
                batches=batches,
                molecules=molecules,
            )
        except (OSError, KeyError, ValueError, EOFError) as error:
            msg = f"{path.name} is not the truth of a simulation ({error}). Make it again with `python -m deepvelo.datasets.shipped`."
            raise InputError(msg) from error


def _names(kind: type[Kinetics | States | Molecules | Truth | BatchEffects]) -> list[str]:
    return [field.name for field in fields(kind)]
