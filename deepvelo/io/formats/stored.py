"""What h5ad files and Zarr folders share: a group with ``X``, layers and tables, read whole or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepvelo.errors import InputError
from deepvelo.io.formats.reading import ByGene
from deepvelo.matrices import CELLS_AT_ONCE
from deepvelo.memory import available_memory

if TYPE_CHECKING:
    from anndata import AnnData

# A file that takes more of the free memory than this leaves too little for what is made of it.
_SHARE_IN_MEMORY = 0.5
# Of a matrix stored by genes (CSC), or as anndata wrote it before 0.7, some cells cannot be read by themselves.
_STORED_BY_CELLS = ("csr_matrix", "array")
_IN_MEMORY = ("obs", "var", "obsm", "varm", "obsp", "uns")


def read_lazily(group: Any) -> AnnData:
    """Everything but ``X``, layers and ``raw`` in memory; ``raw`` is left out."""
    import anndata
    from anndata.experimental import read_elem_lazy

    def lazy(element: Any) -> Any:
        return read_elem_lazy(element, chunks=(CELLS_AT_ONCE, -1))

    return anndata.AnnData(
        X=lazy(group["X"]) if "X" in group else None,
        layers={name: lazy(group["layers"][name]) for name in group.get("layers", ())},
        **{name: anndata.io.read_elem(group[name]) for name in _IN_MEMORY if name in group},
    )


def is_of_today(group: Any) -> bool:
    """Whether anndata 0.8 or later wrote the file: what is older is read as a whole."""
    return bool(group.attrs.get("encoding-type") == "anndata")


def read_by_gene(group: Any, name: str, *, layers: ByGene) -> AnnData:
    """Some layers, and everything else but ``raw``; dense matrices stay in the file."""
    import anndata

    layers = layers(list(group.get("layers", ()))) if callable(layers) else layers

    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in layers if layer in group.get("layers", ())}
    require_one_shape({layer: shape for layer, stored in found.items() if (shape := _shape(stored))}, name)
    dense = {layer for layer, stored in found.items() if stored.attrs.get("encoding-type") == "array"}
    matrices = {
        layer: stored if layer in dense else anndata.io.read_elem(stored) for layer, stored in found.items()
    }
    return anndata.AnnData(
        X=matrices.pop("X", None),
        layers=matrices,
        **{part: anndata.io.read_elem(group[part]) for part in _IN_MEMORY if part in group},
    )


def inspect(group: Any, name: str, *, beyond_memory: bool) -> bool:
    """Compare the shapes and the size of X and of all layers before anything is loaded.

    Returns
    -------
    Whether they should be left in the file: that is wanted, possible, and they would fill the memory.
    """
    found = {"X": group["X"]} if "X" in group else {}
    if "layers" in group:
        found |= {layer: group["layers"][layer] for layer in group["layers"]}
    shapes = {layer: _shape(element) for layer, element in found.items()}
    require_one_shape({layer: shape for layer, shape in shapes.items() if shape}, name)
    needed, available = sum(map(_n_bytes, found.values())), available_memory()
    leave = (
        beyond_memory
        and needed > _SHARE_IN_MEMORY * available
        and all(element.attrs.get("encoding-type") in _STORED_BY_CELLS for element in found.values())
    )
    at_once = (
        needed * min(1, CELLS_AT_ONCE / max(1, *(shape[0] for shape in shapes.values()))) if leave else needed
    )
    if at_once > available:
        msg = (
            f"{name} needs {at_once / 2**30:.1f} GB of memory. Found {available / 2**30:.1f} GB free. "
            "Leave out layers or cells, or use a larger machine."
        )
        raise InputError(msg)
    return leave


def _n_bytes(element: Any) -> int:
    """Size in memory of a dense array, or of the arrays a sparse matrix is made of."""
    return (
        int(element.nbytes) if hasattr(element, "shape") else sum(_n_bytes(element[key]) for key in element)
    )


def _shape(element: Any) -> tuple[int, ...]:
    stored = getattr(element, "shape", None) or element.attrs.get(
        "shape", element.attrs.get("h5sparse_shape")
    )
    return tuple(int(n) for n in stored) if stored is not None else ()


def require_one_shape(shapes: dict[str, tuple[int, ...]], name: str) -> None:
    """Raise an `InputError` if the layers of a file differ in shape (cells x genes)."""
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{layer} {' x '.join(map(str, shape))}" for layer, shape in shapes.items())
        msg = f"The layers of {name} differ in shape (cells x genes): {found}. Write them again for the same cells and genes."
        raise InputError(msg)
