"""cellDancer's result table, with one line per cell and gene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import ALWAYS_ALLOWED, require_memory
from deepvelo.io.formats.read_options import ReadOptions, with_notes
from deepvelo.io.formats.table import separator

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "cellDancer"
SUFFIXES: Final = (".csv",)
_CELL, _GENE, _GROUP = "cellID", "gene_name", "clusters"
_NUMBERS = ("unsplice", "splice", "unsplice_predict", "splice_predict")
_RATES = {"alpha": keys.ALPHA, "beta": keys.BETA, "gamma": keys.GAMMA}
_EMBEDDING = ("embedding1", "embedding2")
_N_LAYERS = 9
_MAX_TIMES_LINES = 20
_BYTES_PER_LINE = 200  # in memory: two texts and nine numbers


def recognizes(path: Path) -> bool:
    """By its columns."""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        title = file.readline(1 << 16)
    return set(title.replace('"', "").strip().split(separator(path))) >= {_CELL, _GENE, *_NUMBERS}


def read(path: Path, options: ReadOptions) -> AnnData:
    """Cells x genes; NaN where a cell has no line for a gene.

    Returns
    -------
    Layers ``Ms``, ``Mu`` (without gaps also as ``spliced`` and ``unspliced``: cellDancer keeps no others), ``velocity``
    and ``velocity_u`` as the predicted less the present values, and the three rates. Groups in ``obs["clusters"]``, the
    picture in ``obsm["X_embedding"]``.
    """
    import anndata

    require_memory(_BYTES_PER_LINE * (path.stat().st_size // 100), path.name)
    wanted = {_CELL, _GENE, _GROUP, *_NUMBERS, *_RATES, *_EMBEDDING}
    lines = pd.read_csv(
        path,
        sep=separator(path),
        usecols=lambda name: name in wanted,
        dtype={_CELL: str, _GENE: str, _GROUP: str},
    )
    rows, cells = pd.factorize(lines[_CELL])
    columns, genes = pd.factorize(lines[_GENE])
    shape = (len(cells), len(genes))
    dense = 4 * _N_LAYERS * shape[0] * shape[1]
    require_memory(dense, path.name)
    # In a real result nearly every cell has a line for every gene.
    if dense > max(ALWAYS_ALLOWED, _MAX_TIMES_LINES * path.stat().st_size):
        msg = (
            f"{path.name} is not cellDancer's result: of {shape[0]:,} cells and {shape[1]:,} genes only {len(lines):,} pairs "
            "have a line. Give the whole table."
        )
        raise InputError(msg)
    if pd.Series(rows.astype(np.int64) * shape[1] + columns).duplicated().any():
        msg = f"{path.name} has several lines for the same cell and gene. Keep one of them."
        raise InputError(msg)

    def layer(values: pd.Series) -> np.ndarray:
        dense = np.full(shape, np.nan, dtype=np.float32)
        dense[rows, columns] = values
        return dense

    moments = {keys.MS: layer(lines["splice"]), keys.MU: layer(lines["unsplice"])}
    layers = {
        **moments,
        keys.VELOCITY: layer(lines["splice_predict"] - lines["splice"]),
        keys.VELOCITY_U: layer(lines["unsplice_predict"] - lines["unsplice"]),
        **{key: layer(lines[name]) for name, key in _RATES.items() if name in lines},
    }
    if all(np.isfinite(values).all() for values in moments.values()):
        layers |= {keys.SPLICED: moments[keys.MS], keys.UNSPLICED: moments[keys.MU]}
    once = lines.iloc[np.unique(rows, return_index=True)[1]]
    adata = anndata.AnnData(
        obs=pd.DataFrame(index=pd.Index(cells, name=None)),
        var=pd.DataFrame(index=pd.Index(genes)),
        layers=layers,
    )
    if _GROUP in lines:
        adata.obs[keys.CLUSTERS] = pd.Categorical(once[_GROUP])
    if set(_EMBEDDING) <= set(lines):
        adata.obsm["X_embedding"] = once[list(_EMBEDDING)].to_numpy(dtype=np.float32)
    return with_notes(adata, ["Velocities of cellDancer's table are splice_predict - splice."])
