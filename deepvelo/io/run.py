"""One stored run, read piece by piece: a page that draws one gene reads one gene."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import zarr
from anndata.io import read_elem
from scipy import sparse

from deepvelo import keys
from deepvelo.checks import require_gene
from deepvelo.config import Settings
from deepvelo.contents.groups import colors_by_group
from deepvelo.errors import InputError
from deepvelo.io.stored_names import restored, restored_names

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

INFO = "info.json"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
RESULT = "result.zarr"

# fit: what a visitor asked for, scVelo's modes among them; the others belong to a fit and are shown with it.
Purpose = Literal["fit", "control", "at_rest", "seed", "sweep"]

# What fits write, ours and scVelo's; `pp.prepare` leaves the like of it out of a user's file.
_FITTED = {
    keys.CONFIDENCE, keys.MULTIKINETIC_SCORE, keys.LATENT_TIME, keys.RATES_LEIDEN, keys.X_RATES_PCA,
    keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP, keys.DEEPVELO,
    "root_cells", "end_points", "loss",
}  # fmt: skip
_FITTED_PREFIXES = ("velocity_", "fit_", "recover_dynamics")
_PREPARED = {
    "layers": {keys.SPLICED, keys.UNSPLICED, keys.MS, keys.MU},
    "obsp": {keys.CONNECTIVITIES, keys.DISTANCES},
    "varp": set(),
}


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What is known of a run without opening its result."""

    run_id: str
    name: str
    data_name: str
    data_hash: str
    created: str
    """Time of saving, ISO 8601, UTC."""
    settings: Settings
    metrics: dict[str, float | int | str]
    versions: dict[str, str]
    cluster_key: str
    basis: str
    purpose: Purpose = "fit"
    base: str = ""
    """Id of the run that a control, another seed or a sweep belongs to; for a fit, whose data it took, if any."""


class Run:
    """A stored run, opened for reading.

    Everything is read when first asked for. Tables and embeddings stay in memory and are shared by
    all who hold this object: copy them before changing them.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.info = info
        self._arrays: dict[str, zarr.Array | _ColumnsOnDisk] = {}

    @cached_property
    def _root(self) -> Any:  # a zarr.Group; its types cannot tell the groups in it from arrays
        with self._reading():
            return zarr.open_group(self.folder / RESULT, mode="r")

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Annotation of the cells, one row a cell; categories decoded."""
        with self._reading():
            return restored(read_elem(self._root["obs"]))

    @cached_property
    def var(self) -> pd.DataFrame:
        """Annotation of the genes, one row a gene."""
        with self._reading():
            return restored(read_elem(self._root["var"]))

    @cached_property
    def obsm(self) -> Mapping[str, np.ndarray]:
        """Embeddings and arrows by name, each ``(n_cells, n_dimensions)``; no tables and no sparse matrices."""
        return _Matrices(self._embeddings, reading=self._reading)

    @cached_property
    def _embeddings(self) -> dict[str, zarr.Array]:
        with self._reading():
            return {
                name: stored
                for name, stored in self._elements("obsm").items()
                if isinstance(stored, zarr.Array) and stored.ndim == 2 and stored.dtype.kind in "biuf"
            }

    def _elements(self, group: str) -> dict[str, Any]:
        """What a group holds, by the names before it was stored."""
        stored = dict(self._root[group].members())
        names = restored_names(stored)
        return {names[name]: element for name, element in stored.items()}

    def n_dimensions(self, name: str) -> int:
        """Columns of one of `obsm`; a plain one is not read for it."""
        return int(self._embeddings[name].shape[1])

    @cached_property
    def layers(self) -> list[str]:
        """Names that `gene` accepts, besides ``X``."""
        with self._reading():
            return sorted(self._elements("layers"))

    def gene(self, layer: str, gene: str) -> np.ndarray:
        """Values of one gene in every cell, from one chunk on disk.

        Parameters
        ----------
        layer
            One of `layers`, or ``X``.
        gene
            A name in ``var.index``.

        Returns
        -------
        Shape ``(n_cells,)``, float32, in the layer's unit; NaN where the method gives no value.

        Raises
        ------
        InputError
            No such layer, or no such gene; similar names are suggested. Or the run was deleted.
        """
        names = self.var.index
        if gene not in names:
            require_gene(names, gene)
        with self._reading():
            column = self._layer(layer)[:, names.get_loc(gene)]
        return np.asarray(column, dtype=np.float32)

    def uns_colors(self, group_key: str) -> dict[str, str] | None:
        """The data set's own colour for each category of a grouping; None when it brings none."""
        with self._reading():
            stored = self._elements("uns").get(keys.colors(group_key))
        if stored is None or group_key not in self.obs:
            return None
        column = self.obs[group_key]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            return None
        with self._reading():
            colors = read_elem(stored)
        return colors_by_group(colors, list(column.cat.categories.astype(str))) or None

    @cached_property
    def history(self) -> pd.DataFrame:
        """Loss terms, one row an epoch."""
        with self._reading():
            return pd.read_csv(self.folder / HISTORY, float_precision="round_trip")

    def weights(self) -> dict[str, torch.Tensor]:
        """Parameters of the trained network by name, on the CPU."""
        from safetensors.torch import load_file

        with self._reading():
            return load_file(self.folder / WEIGHTS)

    def to_adata(self) -> AnnData:
        """The whole result in memory, a new object each time."""
        return self._read(lambda group, name: True)

    def prepared(self) -> AnnData:
        """What the fit was given, in memory, a new object each time.

        Counts, moments, neighbours, components, embeddings and groups exactly as `deepvelo.pp.prepare` left
        them; nothing that a fit wrote.
        """
        return self._read(_was_prepared)

    def part(self, layers: Collection[str] = (), *, with_x: bool = False, on_disk: bool = False) -> AnnData:
        """The result with no more cells x genes than asked for: what comparisons and checks of many runs read.

        Parameters
        ----------
        layers
            Names of the layers; those that the run lacks are left out.
        with_x
            Read ``X`` too.
        on_disk
            Leave dense layers and a dense ``X`` where they are: they come as Zarr arrays, to be read in slices of
            genes.
        """
        return self._read(
            lambda group, name: group != "layers" or name in layers, with_x=with_x, on_disk=on_disk
        )

    def _read(
        self, wanted: Callable[[str, str], bool], *, with_x: bool = True, on_disk: bool = False
    ) -> AnnData:
        """The parts of the result for which ``wanted(group, name)``, such as ``("layers", "Ms")``."""
        from anndata import AnnData

        def element(stored: Any, *, by_gene: bool) -> Any:
            if on_disk and by_gene and isinstance(stored, zarr.Array):
                return stored
            return restored(read_elem(stored))

        with self._reading():
            parts = {
                group: {
                    name: element(stored, by_gene=group == "layers")
                    for name, stored in self._elements(group).items()
                    if wanted(group, name)
                }
                for group in ("layers", "obsm", "varm", "obsp", "varp", "uns")
            }
            x = element(self._root["X"], by_gene=True) if with_x and "X" in self._root else None
        tables = {}
        for group, table in (("obs", self.obs), ("var", self.var)):
            tables[group] = table[[name for name in table if wanted(group, str(name))]].copy()
        # stored by columns to read one gene; other tools expect cells in rows
        parts["layers"] = {name: _by_rows(layer) for name, layer in parts["layers"].items()}
        return AnnData(X=_by_rows(x), **tables, **parts)

    def require_stored(self) -> None:
        """Check that the run is still there.

        Raises
        ------
        InputError
            It was deleted after it had been opened.
        """
        if not (self.folder / INFO).is_file():
            msg = "This run was deleted. Choose another."
            raise InputError(msg)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what a damaged file makes readers stumble over into one sentence.

        Zarr gives zeros, no error, for files that are gone: what was read counts if the run outlived it.
        """
        try:
            yield
        except InputError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError) as error:  # RuntimeError: Blosc's
            self.require_stored()
            reason = str(error).partition("\n")[0].rstrip(".")
            msg = f"The result of run {self.info.run_id} cannot be read: {reason}. Delete the run and fit again."
            raise InputError(msg) from error
        self.require_stored()

    def _layer(self, layer: str) -> zarr.Array | _ColumnsOnDisk:
        if layer not in self._arrays:
            stored = self._root.get("X") if layer == "X" else self._elements("layers").get(layer)
            if stored is None:
                msg = f"This run has no layer {layer!r}. Found {self.layers}. Choose one of them."
                raise InputError(msg)
            self._arrays[layer] = _ColumnsOnDisk(stored) if isinstance(stored, zarr.Group) else stored
        return self._arrays[layer]


class _ColumnsOnDisk:
    """A CSC matrix on disk that reads only the column asked for."""

    def __init__(self, group: Any) -> None:
        self._n_cells = int(group.attrs["shape"][0])
        self._indptr: np.ndarray = group["indptr"][:]
        self._indices, self._data = group["indices"], group["data"]

    def __getitem__(self, item: tuple[slice, int]) -> np.ndarray:
        start, stop = self._indptr[item[1]], self._indptr[item[1] + 1]
        column = np.zeros(self._n_cells, dtype=np.float32)
        if stop > start:
            column[self._indices[start:stop]] = self._data[start:stop]
        return column


class _Matrices(Mapping[str, np.ndarray]):
    """Matrices on disk by name, each read once, inside ``reading()``."""

    def __init__(
        self, stored: Mapping[str, zarr.Array], *, reading: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._stored, self._reading = stored, reading
        self._read: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            stored = self._stored[name]
            with self._reading():
                self._read[name] = np.asarray(stored[:])
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._stored  # Mapping's own would read it

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._stored))

    def __len__(self) -> int:
        return len(self._stored)


def _was_prepared(group: str, name: str) -> bool:
    if group in _PREPARED:
        return name in _PREPARED[group]
    return not (
        name in _FITTED
        or name.startswith(_FITTED_PREFIXES)
        or (group == "uns" and name == keys.colors(keys.RATES_LEIDEN))
    )


def _by_rows(matrix: Any) -> Any:
    return matrix.tocsr() if sparse.issparse(matrix) else matrix
