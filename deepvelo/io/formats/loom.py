"""Loom files, as velocyto, loompy and kallisto|bustools write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import opened
from deepvelo.io.formats.reading import Reading
from deepvelo.io.formats.stored import require_one_shape

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "loom"
SUFFIXES: Final = (".loom",)

# What velocyto, loompy, anndata and kallisto|bustools call the names of cells and genes in a loom file.
_LOOM_CELL_NAMES = ("CellID", "obs_names", "barcode", "cell_names", "Cell", "cellid")
_LOOM_GENE_NAMES = ("Gene", "var_names", "gene_name", "gene_names", "gene", "Accession")
_LOOM_EMBEDDINGS = {
    "X_umap": (("UMAP1", "UMAP2"), ("UMAP_1", "UMAP_2"), ("_UMAP1", "_UMAP2")),
    "X_tsne": (("TSNE1", "TSNE2"), ("tSNE_1", "tSNE_2"), ("_tSNE1", "_tSNE2")),
}


def recognizes(path: Path) -> bool:
    """By its ending."""
    return path.suffix.lower() == ".loom"


def read(path: Path, reading: Reading) -> AnnData:
    """The whole file."""
    with opened(path, kind="a loom file") as file:
        return _read_loom(path, file)


def _read_loom(path: Path, file: Any) -> AnnData:
    import anndata

    if "matrix" not in file or "row_attrs" not in file or "col_attrs" not in file:
        msg = (
            f"{path.name} is not a loom file: it holds {sorted(file)}. Make it again with velocyto or loompy."
        )
        raise InputError(msg)
    shapes = {"matrix": file["matrix"].shape}
    shapes |= {name: layer.shape for name, layer in file.get("layers", {}).items()}
    require_one_shape({name: shape[::-1] for name, shape in shapes.items()}, path.name)
    cells, genes = set(file["col_attrs"]), set(file["row_attrs"])
    obsm = {
        key: list(pair) for key, pairs in _LOOM_EMBEDDINGS.items() for pair in pairs if cells.issuperset(pair)
    }
    file.close()
    adata = anndata.io.read_loom(
        path,
        sparse=True,
        X_name="",
        obs_names=_first(_LOOM_CELL_NAMES, cells),
        var_names=_first(_LOOM_GENE_NAMES, genes),
        obsm_mapping=obsm,
        validate=False,  # old files, and velocyto's, are readable but not to the letter of the format
    )
    return adata


def _first(candidates: tuple[str, ...], found: set[str]) -> str:
    return next((name for name in candidates if name in found), candidates[0])
