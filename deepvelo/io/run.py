"""One stored run, read lazily: a page that draws one gene reads one chunk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr
from anndata.io import read_elem, sparse_dataset
from scipy import sparse

from deepvelo import keys
from deepvelo.arrays import matrices
from deepvelo.checks import require_gene
from deepvelo.contents.groups import colors_by_group
from deepvelo.errors import InputError
from deepvelo.io import checksums
from deepvelo.io.run_info import INFO, DamagedRunError, Purpose, RunInfo
from deepvelo.io.stored_names import restored, restored_names

if TYPE_CHECKING:
    import torch
    from anndata import AnnData
    from anndata.abc import CSCDataset

__all__ = ["HISTORY", "INFO", "RESULT", "WEIGHTS", "Purpose", "Run", "RunInfo"]

HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
RESULT = "result.zarr"

_PREPARED = {
    "layers": {keys.SPLICED, keys.UNSPLICED, keys.MS, keys.MU},
    "obsp": {keys.CONNECTIVITIES, keys.DISTANCES},
    "varp": set(),
}


class Run:
    """A stored run, opened for reading.

    Every part is read on first access. Tables and embeddings are cached and shared, so copy them before changing
    them.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.info = info
        self._arrays: dict[str, zarr.Array | CSCDataset] = {}

    @cached_property
    def _root(self) -> Any:  # a zarr.Group; its type hints do not separate groups from arrays
        names = {
            name.removeprefix(f"{RESULT}/"): checksum
            for name, checksum in self._checksums.items()
            if name.startswith(f"{RESULT}/")
        }
        store = checksums.VerifiedStore(
            self.folder / RESULT, names=names, on_damage=lambda what: self._damaged(f"{RESULT}/{what}")
        )
        with self._reading():
            return zarr.open_group(store, mode="r")

    @cached_property
    def _checksums(self) -> checksums.Checksums:
        try:
            return checksums.read_checksums(self.folder)
        except InputError as error:
            raise self._damaged(str(error)) from None

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Annotation of the cells, one row per cell."""
        with self._reading():
            return restored(read_elem(self._root["obs"]))

    @cached_property
    def var(self) -> pd.DataFrame:
        """Annotation of the genes, one row per gene."""
        with self._reading():
            return restored(read_elem(self._root["var"]))

    @cached_property
    def obsm(self) -> Mapping[str, np.ndarray]:
        """Dense embeddings and arrows by name, each of shape ``(n_cells, n_dimensions)``."""
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
        """Members of a group by their original names."""
        stored = dict(self._root[group].members())
        names = restored_names(stored)
        return {names[name]: element for name, element in stored.items()}

    def n_dimensions(self, name: str) -> int:
        """Number of columns of an entry of `obsm`, without reading it."""
        return int(self._embeddings[name].shape[1])

    @cached_property
    def layers(self) -> list[str]:
        """Names that `gene` accepts, besides ``X``."""
        with self._reading():
            return sorted(self._elements("layers"))

    @property
    def has_rates(self) -> bool:
        """Whether there are rates for every cell and gene."""
        return keys.BETA in self.layers

    @property
    def has_alpha(self) -> bool:
        """Whether the fit gave alpha: a preset without the unspliced velocity stores NaN in its place."""
        if self.info.is_ours:
            return self.info.settings.variant.unspliced_velocity
        return keys.ALPHA in self.layers

    @property
    def has_du_dt(self) -> bool:
        """Whether the fit gave du/dt: scVelo's dynamical mode does, and ours where it fits alpha."""
        return keys.VELOCITY_U in self.layers and (not self.info.is_ours or self.has_alpha)

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
            There is no such layer or gene (the message suggests similar names), or the run was deleted.
        """
        names = self.var.index
        if gene not in names:
            require_gene(names, gene)
        with self._reading():
            column = self._layer(layer)[:, names.get_loc(gene)]
        return matrices.as_dense(column).astype(np.float32, copy=False).ravel()

    def layer(self, name: str) -> zarr.Array:
        """One dense layer on disk, to be read in slices of genes.

        Raises
        ------
        InputError
            There is no such layer, it is sparse, or the run was deleted.
        """
        with self._reading():
            layer = self._layer(name)
        if not isinstance(layer, zarr.Array):
            msg = f"The layer {name!r} of this run is sparse. Read its genes one by one."
            raise InputError(msg)
        return layer

    def uns_colors(self, group_key: str) -> dict[str, str] | None:
        """Colours that came with the data for each category of a grouping; None without any."""
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
        """Loss terms, one row per epoch."""
        with self._reading():
            return pd.read_csv(BytesIO(self._file(HISTORY)), float_precision="round_trip")

    def weights(self) -> dict[str, torch.Tensor]:
        """Parameters of the trained network by name, on the CPU."""
        from safetensors.torch import load

        with self._reading():
            return load(self._file(WEIGHTS))

    def _file(self, name: str) -> bytes:
        try:
            return checksums.read_verified(self.folder, name, self._checksums)
        except InputError as error:
            raise self._damaged(str(error)) from None

    def to_adata(self) -> AnnData:
        """The whole result in memory with the groupings made by hand, a new object each time.

        A grouping that cannot be added, because a column has its name, is told among the notes in ``uns``.
        """
        from deepvelo.contents.notes import stored_notes
        from deepvelo.selections import GroupingStore

        adata = self._read(lambda group, name: True)
        left_out = GroupingStore(self.folder.parent, self.info.data_hash).add_to(adata)
        if left_out:
            adata.uns[keys.NOTES] = [*stored_notes(adata), *left_out]
        return adata

    def prepared(self) -> AnnData:
        """The input of the fit, in memory, a new object each time.

        Counts, moments, neighbours, components, embeddings and groups as `deepvelo.pp.prepare.prepare` returned them, without
        the keys that a fit writes.
        """
        with self._reading():
            obsm = list(self._elements("obsm"))
        return self._read(lambda group, name: _was_prepared(group, name, obsm))

    def part(self, layers: Collection[str] = (), *, with_x: bool = False, on_disk: bool = False) -> AnnData:
        """The result with only some of its layers, for comparisons and checks of many runs.

        Parameters
        ----------
        layers
            Names of the layers to read. Missing layers are skipped.
        with_x
            Read ``X`` too.
        on_disk
            Return dense layers and a dense ``X`` as Zarr arrays on disk, to be read in slices of genes.
        """
        return self._read(
            lambda group, name: group != "layers" or name in layers, with_x=with_x, on_disk=on_disk
        )

    def _read(
        self, wanted: Callable[[str, str], bool], *, with_x: bool = True, on_disk: bool = False
    ) -> AnnData:
        """The elements of the result for which ``wanted(group, name)`` is true, e.g. ``("layers", "Ms")``."""
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
        """Check that the run still exists.

        Raises
        ------
        InputError
            The run was deleted after it had been opened.
        """
        if not (self.folder / INFO).is_file():
            msg = "This run was deleted. Choose another."
            raise InputError(msg)

    def require_whole(self) -> None:
        """Check that all files exist and that the result fits ``info.json``; reads no layer.

        Raises
        ------
        InputError
            A file is missing or damaged, or the run was deleted.
        """
        if gone := checksums.missing_files(self.folder, self._checksums):
            what = f"{checksums.in_brief(gone)} gone"
            raise self._damaged(what)
        told = self.info
        n_told = (told.metrics.get("n_cells"), told.metrics.get("n_genes"))
        n_there = (len(self.obs), len(self.var))
        if n_there != n_told:
            what = f"{INFO} states %s cells and %s genes, and its result has %s and %s"
            raise self._damaged(what % (n_told + n_there))
        if told.cluster_key not in self.obs or keys.embedding(told.basis) not in self.obsm:
            what = f"its result lacks the groups or the embedding that {INFO} names"
            raise self._damaged(what)

    def _damaged(self, what: str) -> InputError:
        """The error for an unreadable file; a deleted run gives another message than a damaged one."""
        try:
            self.require_stored()
        except InputError as error:
            return error
        return DamagedRunError(
            f"The result of run {self.info.run_id} cannot be read: {what}. Delete the run and fit again."
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Convert the errors of AnnData, Zarr and Blosc to one `InputError`."""
        try:
            yield
        except InputError as error:  # AnnData appends the location to the message
            raise type(error)(str(error).partition("\n")[0]) from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:  # RuntimeError: Blosc's
            raise self._damaged(str(error).partition("\n")[0].rstrip(".")) from error
        self.require_stored()

    def _layer(self, layer: str) -> zarr.Array | CSCDataset:
        if layer not in self._arrays:
            stored = self._root.get("X") if layer == "X" else self._elements("layers").get(layer)
            if stored is None:
                msg = f"This run has no layer {layer!r}. Found {self.layers}. Choose one of them."
                raise InputError(msg)
            self._arrays[layer] = sparse_dataset(stored) if isinstance(stored, zarr.Group) else stored
        return self._arrays[layer]


class _Matrices(Mapping[str, np.ndarray]):
    """Matrices on disk by name. Each is read once, inside the context manager ``reading()``."""

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
        return name in self._stored  # the inherited method would read the matrix

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._stored))

    def __len__(self) -> int:
        return len(self._stored)


def _was_prepared(group: str, name: str, obsm: Collection[str]) -> bool:
    if group in _PREPARED:
        return name in _PREPARED[group]
    return not keys.is_of_a_fit(group, name, obsm=obsm)


def _by_rows(matrix: Any) -> Any:
    return matrix.tocsr() if sparse.issparse(matrix) else matrix
