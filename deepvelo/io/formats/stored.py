"""What h5ad files and Zarr folders share: a group with ``X``, layers and tables, read whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deepvelo.contents.layer_names import COUNTS, standard_layers
from deepvelo.errors import InputError
from deepvelo.io.formats.reading import ByGene, Reading, with_notes
from deepvelo.io.tidy.layers import renaming_note
from deepvelo.matrices import CELLS_AT_ONCE
from deepvelo.memory import available_memory

if TYPE_CHECKING:
    from anndata import AnnData

# A file that takes more of the free memory than this leaves too little for what is made of it.
_SHARE_IN_MEMORY = 0.5
# Of a matrix stored by genes (CSC), or as anndata wrote it before 0.7, some cells cannot be read by themselves.
_STORED_BY_CELLS = ("csr_matrix", "array")
_IN_MEMORY = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")
_ALIGNED = ("obsm", "varm", "obsp", "varp")
_OF_RAW = ("X", "var", "varm")
_MATRICES = ("X", "layers")
_UNKNOWN = object()


def read_group(group: Any, name: str, reading: Reading) -> AnnData:
    """An object that anndata 0.8 or later wrote, whole or as much as was asked for.

    What has an encoding that the installed anndata does not know is left out, with a note.
    """
    if reading.by_gene is not None:
        return _read_by_gene(group, name, layers=reading.by_gene)
    if inspect(group, name, beyond_memory=reading.beyond_memory):
        return _read_lazily(group)
    left_out: dict[str, str] = {}
    layers = {}
    for layer in _layer_names(group):
        matrix = _known(group["layers"][layer], f"layers['{layer}']", left_out)
        if matrix is not _UNKNOWN:
            layers[layer] = matrix
        elif standard_layers([layer]).get(layer, layer) in COUNTS:
            _, encoding = left_out.popitem()
            msg = (
                f"Layer '{layer}' of {name} cannot be read: its encoding ({encoding}) is of another program or a newer "
                "anndata. Update anndata, or save the file with an older one."
            )
            raise InputError(msg)
    x = _known(group["X"], "X", left_out) if "X" in group else None
    return _assembled(group, X=None if x is _UNKNOWN else x, layers=layers, left_out=left_out, with_raw=True)


def is_of_today(group: Any) -> bool:
    """Whether anndata 0.8 or later wrote the file: what is older is read as a whole."""
    return bool(group.attrs.get("encoding-type") == "anndata")


def _read_lazily(group: Any) -> AnnData:
    """Everything but ``X``, layers and ``raw`` in memory; ``raw`` is left out."""
    from anndata.experimental import read_elem_lazy

    def lazy(element: Any) -> Any:
        return read_elem_lazy(element, chunks=(CELLS_AT_ONCE, -1))

    layers = {name: lazy(group["layers"][name]) for name in _layer_names(group)}
    return _assembled(group, X=lazy(group["X"]) if "X" in group else None, layers=layers)


def _read_by_gene(group: Any, name: str, *, layers: ByGene) -> AnnData:
    """Some layers, by their standard names too, and everything else but ``raw``; dense matrices stay in the file."""
    import anndata

    stored_layers = _layer_names(group)
    standard = standard_layers(stored_layers)
    wanted = layers(stored_layers) if callable(layers) else layers
    chosen = [layer for layer in stored_layers if layer in wanted or standard.get(layer) in wanted]
    renamed = {layer: standard[layer] for layer in chosen if layer in standard}

    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in chosen}
    require_one_shape({layer: shape for layer, stored in found.items() if (shape := _shape(stored))}, name)
    dense = {layer for layer, stored in found.items() if stored.attrs.get("encoding-type") == "array"}
    matrices = {
        renamed.get(layer, layer): stored if layer in dense else anndata.io.read_elem(stored)
        for layer, stored in found.items()
    }
    adata = _assembled(group, X=matrices.pop("X", None), layers=matrices)
    return with_notes(adata, [renaming_note(renamed)] if renamed else [])


def _assembled(
    group: Any,
    *,
    X: Any = None,
    layers: dict[str, Any] | None = None,
    left_out: dict[str, str] | None = None,
    with_raw: bool = False,
) -> AnnData:
    """Matrices with the tables of a group; a note names what could not be read."""
    import anndata

    left_out = {} if left_out is None else left_out
    parts = {part: _known(group[part], part, left_out) for part in _IN_MEMORY if part in group}
    parts = {
        part: _flat(element) if part in _ALIGNED else element
        for part, element in parts.items()
        if element is not _UNKNOWN
    }
    if with_raw and hasattr(group.get("raw"), "keys"):
        # Part by part: as a whole it would be an object of its own.
        raw = {
            part: _known(group["raw"][part], f"raw.{part}", left_out)
            for part in _OF_RAW
            if part in group["raw"]
        }
        if raw.get("X", _UNKNOWN) is not _UNKNOWN and raw.get("var", _UNKNOWN) is not _UNKNOWN:
            parts["raw"] = {part: element for part, element in raw.items() if element is not _UNKNOWN}
    adata = anndata.AnnData(X=X, layers=layers, **parts)
    said = "; ".join(f"{place} ({encoding})" for place, encoding in left_out.items())
    note = f"Left out, because its encoding is of another program or a newer anndata: {said}."
    return with_notes(adata, [note] if left_out else [])


def _layer_names(group: Any) -> list[str]:
    """A name with a slash is stored as a group in a group, which has no encoding."""

    def names(stored: Any, above: str) -> Iterator[str]:
        for key in stored:
            inner = stored[key]
            if hasattr(inner, "keys") and not dict(inner.attrs):
                yield from names(inner, f"{above}{key}/")
            else:
                yield f"{above}{key}"

    return list(names(group.get("layers", {}), ""))


def _flat(elements: Any) -> dict[str, Any]:
    """The elements of a mapping, those whose names have slashes too."""
    found: dict[str, Any] = {}
    for name, element in dict(elements).items():
        inner = _flat(element) if isinstance(element, dict) else None
        found |= (
            {name: element} if inner is None else {f"{name}/{key}": value for key, value in inner.items()}
        )
    return found


def _known(element: Any, place: str, left_out: dict[str, str]) -> Any:
    """An element, without what has an unknown encoding; the sentinel if nothing of it can be read."""
    import anndata
    from anndata._io.specs.registry import IORegistryError

    try:
        return anndata.io.read_elem(element)
    except (IORegistryError, ImportError):  # or of a package that is not installed
        kind = element.attrs.get("encoding-type", "")
        if kind == "dataframe":
            return _known_columns(element, place, left_out)
        if kind in ("", "dict") and hasattr(element, "keys"):
            parts = {key: _known(element[key], f"{place}['{key}']", left_out) for key in element}
            return {key: part for key, part in parts.items() if part is not _UNKNOWN}
        left_out[place] = f"'{kind}' {element.attrs.get('encoding-version', '')}".strip()
        return _UNKNOWN


def _known_columns(frame: Any, place: str, left_out: dict[str, str]) -> Any:
    import anndata
    import pandas as pd

    index = anndata.io.read_elem(frame[frame.attrs["_index"]])
    columns = {
        str(column): _known(frame[column], f"{place}['{column}']", left_out)
        for column in frame.attrs["column-order"]
    }
    return pd.DataFrame(
        {column: values for column, values in columns.items() if values is not _UNKNOWN}, index=index
    )


def inspect(group: Any, name: str, *, beyond_memory: bool) -> bool:
    """Compare the shapes of X and of all layers, and the size of everything, before anything is loaded.

    Returns
    -------
    Whether X and layers should be left in the file: that is wanted, possible, and they would fill the memory.
    """
    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in _layer_names(group)}
    shapes = {layer: _shape(element) for layer, element in found.items()}
    require_one_shape({layer: shape for layer, shape in shapes.items() if shape}, name)
    needed, available = sum(map(_n_bytes, found.values())), available_memory()
    rest = sum(_n_bytes(group[part]) for part in group if part not in _MATRICES)
    leave = (
        beyond_memory
        and needed + rest > _SHARE_IN_MEMORY * available
        and all(element.attrs.get("encoding-type") in _STORED_BY_CELLS for element in found.values())
    )
    if leave:
        most_cells = max((shape[0] for shape in shapes.values() if shape), default=1)
        needed = int(needed * min(1, CELLS_AT_ONCE / max(1, most_cells)))
        rest -= _n_bytes(group["raw"]) if "raw" in group else 0
    require_fits(needed + rest, name)
    return leave


def require_fits(n_bytes: int, name: str) -> None:
    """Raise an `InputError` if a file would take more memory than is free."""
    available = available_memory()
    if n_bytes > available:
        msg = (
            f"{name} needs {n_bytes / 2**30:.1f} GB of memory. Found {available / 2**30:.1f} GB free. "
            "Leave out layers or cells, or use a larger machine."
        )
        raise InputError(msg)


def _n_bytes(element: Any) -> int:
    """Size in memory of a dense array, or of the arrays that a group is made of."""
    if hasattr(element, "shape"):
        return int(element.nbytes)
    if hasattr(element, "visititems"):  # each element of an HDF5 file once, even where links make a circle
        sizes: list[int] = []
        element.visititems(lambda _, found: sizes.append(int(getattr(found, "nbytes", 0))))
        return sum(sizes)
    return sum(_n_bytes(element[key]) for key in element)


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
