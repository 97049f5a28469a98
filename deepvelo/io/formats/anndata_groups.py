"""Read the AnnData group of an h5ad file or Zarr folder, whole, lazily or by gene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from deepvelo import memory
from deepvelo.arrays.matrices import BLOCK_CELLS
from deepvelo.contents.layer_names import COUNTS, standard_layers
from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import (
    arrays_in,
    bytes_in_memory,
    bytes_of_names,
    largest_chunk,
    require_few_chunks,
    require_memory,
    require_plausible_size,
)
from deepvelo.io.formats.read_options import ByGene, ReadOptions, with_notes
from deepvelo.io.formats.validation import declared_shape, read_element, read_lazily
from deepvelo.io.tidy.layers import renaming_note
from deepvelo.plan import SHARE_IN_MEMORY

if TYPE_CHECKING:
    from anndata import AnnData

# Encodings from which a block of cells can be read; CSC and those before anndata 0.7 cannot.
_STORED_BY_CELLS = ("csr_matrix", "array")
_IN_MEMORY = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")
_ALIGNED = ("obsm", "varm", "obsp", "varp")
_OF_RAW = ("X", "var", "varm")
_MATRICES = ("X", "layers")
_BYTES_OF_FLOAT = 4
_UNKNOWN = object()


def read_group(group: Any, name: str, options: ReadOptions) -> AnnData:
    """Read an object written by anndata 0.8 or later, whole or in part according to the options.

    Elements with an encoding that the installed anndata does not know are left out, with a note.
    """
    if options.by_gene is not None:
        return _read_by_gene(group, name, options, layers=options.by_gene)
    if check_sizes(group, name, options):
        return _read_lazily(group, name)
    left_out: dict[str, str] = {}
    layers = {}
    for layer in _layer_names(group):
        matrix = _known(group["layers"][layer], f"layers['{layer}']", left_out, name)
        if matrix is not _UNKNOWN:
            layers[layer] = matrix
        elif standard_layers([layer]).get(layer, layer) in COUNTS:
            _, encoding = left_out.popitem()
            msg = (
                f"Layer '{layer}' of {name} cannot be read: its encoding ({encoding}) is of another program or a newer "
                "anndata. Update anndata, or save the file with an older one."
            )
            raise InputError(msg)
    x = _known(group["X"], "X", left_out, name) if "X" in group else None
    return _assembled(
        group, name, X=None if x is _UNKNOWN else x, layers=layers, left_out=left_out, with_raw=True
    )


def is_current_format(group: Any) -> bool:
    """Whether anndata 0.8 or later wrote the file; older files are read as a whole."""
    return bool(group.attrs.get("encoding-type") == "anndata")


def _read_lazily(group: Any, name: str) -> AnnData:
    """Read ``X`` and layers lazily and the rest into memory, without ``raw``."""

    def lazy(element: Any) -> Any:
        return read_lazily(element, name, cells=BLOCK_CELLS)

    layers = {layer: lazy(group["layers"][layer]) for layer in _layer_names(group)}
    return _assembled(group, name, X=lazy(group["X"]) if "X" in group else None, layers=layers)


def _read_by_gene(group: Any, name: str, options: ReadOptions, *, layers: ByGene) -> AnnData:
    """Read the chosen layers, also by their standard names, without ``raw``; dense matrices stay on disk."""
    stored_layers = _layer_names(group)
    standard = standard_layers(stored_layers)
    wanted = layers(stored_layers) if callable(layers) else layers
    chosen = [layer for layer in stored_layers if layer in wanted or standard.get(layer) in wanted]
    renamed = {layer: standard[layer] for layer in chosen if layer in standard}

    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in chosen}
    require_one_shape(_shapes(found), name)
    dense = {layer for layer, stored in found.items() if stored.attrs.get("encoding-type") == "array"}
    read = {layer: arrays_in(stored) for layer, stored in found.items() if layer not in dense}
    rest = _other_arrays(group, _IN_MEMORY)
    every = [*rest, *chain.from_iterable(map(arrays_in, found.values()))]
    chunk = largest_chunk(every)
    needed = (
        sum(bytes_in_memory(parts, min_itemsize=_BYTES_OF_FLOAT) for parts in read.values())
        + bytes_in_memory(rest)
        + chunk
    )
    needed += _bytes_of_default_names(group, _shapes(found))
    require_memory(needed, name)
    require_plausible_size(needed, name, packed_size=options.packed_size)
    require_few_chunks(every, name, packed_size=options.packed_size)
    matrices = {
        renamed.get(layer, layer): stored if layer in dense else read_element(stored, name)
        for layer, stored in found.items()
    }
    adata = _assembled(group, name, X=matrices.pop("X", None), layers=matrices)
    return with_notes(adata, [renaming_note(renamed)] if renamed else [])


def _assembled(
    group: Any,
    name: str,
    *,
    X: Any = None,
    layers: dict[str, Any] | None = None,
    left_out: dict[str, str] | None = None,
    with_raw: bool = False,
) -> AnnData:
    """Combine matrices with the tables of a group; a note lists what could not be read."""
    import anndata

    left_out = {} if left_out is None else left_out
    parts = {part: _known(group[part], part, left_out, name) for part in _IN_MEMORY if part in group}
    parts = {
        part: _flat(element) if part in _ALIGNED else element
        for part, element in parts.items()
        if element is not _UNKNOWN
    }
    if with_raw and hasattr(group.get("raw"), "keys"):
        # in parts, because anndata would read the whole as an object
        raw = {
            part: _known(group["raw"][part], f"raw.{part}", left_out, name)
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
    """Sorted names of the layers; a name with a slash is stored as nested groups without encoding."""

    def names(stored: Any, above: str) -> Iterator[str]:
        for key in sorted(stored):  # the order of a Zarr folder depends on the file system
            inner = stored[key]
            if hasattr(inner, "keys") and not dict(inner.attrs):
                yield from names(inner, f"{above}{key}/")
            else:
                yield f"{above}{key}"

    return list(names(group.get("layers", {}), ""))


def _flat(elements: Any) -> dict[str, Any]:
    """Sorted elements of a mapping, with nested groups as names with slashes."""
    found: dict[str, Any] = {}
    for name, element in sorted(dict(elements).items()):
        inner = _flat(element) if isinstance(element, dict) else None
        found |= (
            {name: element} if inner is None else {f"{name}/{key}": value for key, value in inner.items()}
        )
    return found


def _known(element: Any, place: str, left_out: dict[str, str], name: str) -> Any:
    """Read an element without parts of unknown encoding; the sentinel if nothing can be read."""
    from anndata._io.specs.registry import IORegistryError

    try:
        return read_element(element, name)
    except (IORegistryError, ImportError):  # unknown encoding, or a package that is not installed
        kind = element.attrs.get("encoding-type", "")
        if kind == "dataframe":
            return _known_columns(element, place, left_out, name)
        if kind in ("", "dict") and hasattr(element, "keys"):
            parts = {key: _known(element[key], f"{place}['{key}']", left_out, name) for key in element}
            return {key: part for key, part in parts.items() if part is not _UNKNOWN}
        left_out[place] = f"'{kind}' {element.attrs.get('encoding-version', '')}".strip()
        return _UNKNOWN


def _known_columns(frame: Any, place: str, left_out: dict[str, str], name: str) -> Any:
    import pandas as pd

    index = read_element(frame[frame.attrs["_index"]], name)
    columns = {
        str(column): _known(frame[column], f"{place}['{column}']", left_out, name)
        for column in frame.attrs["column-order"]
    }
    return pd.DataFrame(
        {column: values for column, values in columns.items() if values is not _UNKNOWN}, index=index
    )


def check_sizes(group: Any, name: str, options: ReadOptions) -> bool:
    """Check the shapes of ``X`` and all layers and the total size before anything is loaded.

    Returns
    -------
    Whether ``X`` and layers should stay on disk: the options allow it, the encodings too, and they are large.
    """
    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in _layer_names(group)}
    shapes = _shapes(found)
    require_one_shape(shapes, name)
    parts = {layer: arrays_in(element) for layer, element in found.items()}
    rest = _other_arrays(group, [*_IN_MEMORY, "raw"] if is_current_format(group) else [*group])
    if not is_current_format(group):
        rest += _categories(rest)
    every = [*rest, *chain.from_iterable(parts.values())]
    chunk = largest_chunk(every)
    needed = sum(bytes_in_memory(of_layer, min_itemsize=_BYTES_OF_FLOAT) for of_layer in parts.values())
    # layers are converted one after the other
    needed += max((_bytes_of_copy(element, parts[layer]) for layer, element in found.items()), default=0)
    others = bytes_in_memory(rest) + chunk + _bytes_of_default_names(group, shapes)
    leave = (
        options.lazy_if_large
        and needed + others > SHARE_IN_MEMORY * memory.available_memory()
        and all(element.attrs.get("encoding-type") in _STORED_BY_CELLS for element in found.values())
    )
    in_memory = needed
    if leave:
        most_cells = max((shape[0] for shape in shapes.values()), default=1)
        in_memory = int(needed * min(1, BLOCK_CELLS / max(1, most_cells)))
        in_memory -= bytes_in_memory(arrays_in(group["raw"])) if "raw" in group else 0
    require_memory(in_memory + others, name)
    require_plausible_size(needed + others, name, packed_size=options.packed_size)
    require_few_chunks(every, name, packed_size=options.packed_size)
    return leave


def _other_arrays(group: Any, parts: Iterable[str]) -> list[Any]:
    """All arrays except the matrices of cells x genes."""
    return [
        array for part in parts if part in group and part not in _MATRICES for array in arrays_in(group[part])
    ]


def _categories(columns: list[Any]) -> list[Any]:
    """Category arrays that columns of anndata before 0.8 refer to, once per column."""
    import h5py

    found = ((column, column.attrs.get("categories")) for column in columns)
    named = [column.file[place] for column, place in found if isinstance(place, h5py.Reference)]
    return [array for array in named if hasattr(array, "shape")]


def _bytes_of_copy(element: Any, parts: list[Any]) -> int:
    """Bytes of the float32 copy of a matrix; 0 if the file stores it like that."""
    as_stored = element.attrs.get("encoding-type") in _STORED_BY_CELLS and any(
        array.dtype == np.float32 for array in parts
    )
    return 0 if as_stored else bytes_in_memory(parts, min_itemsize=_BYTES_OF_FLOAT)


def _bytes_of_default_names(group: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Bytes of the default names that anndata creates for a file without names."""
    shape = next(iter(shapes.values()), ())
    return bytes_of_names(
        tuple(n for n, names in zip(shape, ("obs", "var"), strict=False) if names not in group)
    )


def _shapes(found: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {layer: shape for layer, element in found.items() if (shape := declared_shape(element))}


def require_one_shape(shapes: dict[str, tuple[int, ...]], name: str) -> None:
    """Raise an `InputError` if the layers of a file differ in shape (cells x genes)."""
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{layer} {' x '.join(map(str, shape))}" for layer, shape in shapes.items())
        msg = f"The layers of {name} differ in shape (cells x genes): {found}. Write them again for the same cells and genes."
        raise InputError(msg)
