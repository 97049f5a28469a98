"""Open HDF5 files safely: no links, no external data, known filters only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.compression import HDF5_FILTERS, exceeds, may_exceed
from deepvelo.io.formats.declared_sizes import chunk_bytes
from deepvelo.io.formats.string_sizes import n_references, require_bounded_strings

_MAX_ELEMENTS: Final = 20_000
_DEEPEST: Final = 100
_LARGEST_ATTRIBUTE: Final = 2**24
_MAX_ATTRIBUTES: Final = 1000  # of one element, since HDF5 searches them linearly
_MAX_ATTRIBUTES_IN_ALL: Final = 100_000
_CHECKSUM = 3  # the only filter that may follow a compression filter


def is_hdf5(path: Path) -> bool:
    """Whether a file has the HDF5 signature."""
    import h5py

    return path.is_file() and bool(h5py.is_hdf5(path))


def top_names(path: Path, group: str = "/") -> set[str]:
    """Names in a group of an HDF5 file; empty if the file is not HDF5, is damaged or has no such group."""
    import h5py

    if not is_hdf5(path):
        return set()
    try:
        with h5py.File(path, "r") as file:
            if group == "/":
                return set(file)
            # `group in file` would follow a link to another file
            here = isinstance(_link(file, group), h5py.HardLink)
            return set(file[group]) if here and isinstance(file[group], h5py.Group) else set()
    except (OSError, RuntimeError, KeyError):
        return set()


def is_anndata(path: Path) -> bool:
    """Whether the content of a file is h5ad, whatever its ending."""
    names = top_names(path)
    return {"obs", "var"} <= names and "mod" not in names


@contextmanager
def opened(path: Path, *, kind: str) -> Iterator[Any]:
    """Open an HDF5 file after checking that it has no links and no external data.

    Its arrays use known filters, and no chunk unpacks to more than the array declares.

    Raises
    ------
    InputError
        The file is not HDF5, is truncated, or has links: to other files, or to its own elements, which would take
        memory several times.
    """
    import h5py

    _use_known_filters()
    if not is_hdf5(path):
        msg = f"{path.name} is not {kind}: it does not begin as one. Check that the right file was chosen."
        raise InputError(msg)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "truncated" not in str(error):
            raise
        msg = f"{path.name} is truncated: its end is missing. Copy or download it again."
        raise InputError(msg) from error
    with file:
        arrays, attributes = [], []
        for place, element in _elements(path, file):
            attributes += _attributes(path, place, element)
            if len(attributes) > _MAX_ATTRIBUTES_IN_ALL:
                raise _attribute_error(path, place)
            if isinstance(element, h5py.Dataset):
                _require_own_values(path, place, element)
                _require_known_packing(path, place, element)
                arrays.append(element)
        require_bounded_strings(path, arrays, most_in_attribute=max(attributes, default=0))
        _require_known_categories(path, arrays)
        yield file


@lru_cache(maxsize=1)
def _use_known_filters() -> None:
    """Register the filters of hdf5plugin, and keep HDF5 from loading plugins for a file."""
    import hdf5plugin  # noqa: F401  (the import registers zstd, blosc, lz4 and others)
    from h5py import h5pl

    for _ in range(h5pl.size()):
        h5pl.remove(0)


def _elements(path: Path, file: Any) -> Iterator[tuple[str, Any]]:
    """Every element of a file with its path, the root first; raises on links."""
    import h5py

    waiting, n_found = [("", file)], 0
    _require_one_place(path, "/", file)
    yield "/", file
    while waiting:
        above, group = waiting.pop()
        n_found += len(group)
        if n_found > _MAX_ELEMENTS or above.count("/") > _DEEPEST:
            msg = (
                f"{path.name} holds more than {_MAX_ELEMENTS:,} elements, or groups within more than {_DEEPEST} others. "
                "Save the object again without what is not needed."
            )
            raise InputError(msg)
        for name in group:
            place = f"{above}/{name}"
            link = _link(group, name)
            if isinstance(link, h5py.SoftLink):
                raise _link_error(path, place)
            if not isinstance(link, h5py.HardLink):
                raise _external_error(path, place, "a link to another file")
            element = group[name]
            _require_one_place(path, place, element)
            yield place, element
            if isinstance(element, h5py.Group):
                waiting.append((place, element))


def _link(group: Any, name: str) -> Any:
    """The link by which a group holds an element, without opening it; None for an unknown link type or no element."""
    try:
        return group.get(name, getlink=True)
    except TypeError:
        return None


def _require_one_place(path: Path, place: str, element: Any) -> None:
    """Check that an element has no second hard link."""
    from h5py import Datatype, h5o

    if h5o.get_info(element.id).rc > 1 and not isinstance(element, Datatype):
        raise _link_error(path, place)


def _attributes(path: Path, place: str, element: Any) -> list[int]:
    """Number of strings that each attribute of an element refers to; raises on large or many attributes."""
    from h5py import h5a

    n_attributes = h5a.get_num_attrs(element.id)
    if n_attributes > _MAX_ATTRIBUTES:
        raise _attribute_error(path, place)
    found = []
    for i in range(n_attributes):
        attribute = h5a.open(element.id, index=i)
        n_values, kind = attribute.get_space().get_simple_extent_npoints(), attribute.get_type()
        if n_values * kind.get_size() > _LARGEST_ATTRIBUTE:
            msg = (
                f"{path.name} has an attribute of {n_values * kind.get_size():,} bytes at '{place.lstrip('/')}'. "
                "Save the object again with anndata or the program that wrote it."
            )
            raise InputError(msg)
        found.append(n_references(kind, n_values))
    return found


def _require_known_categories(path: Path, arrays: list[Any]) -> None:
    """Check that columns of anndata before 0.8 refer only to category arrays that were checked."""
    import h5py
    from h5py import h5o

    known = {h5o.get_info(array.id).addr for array in arrays}
    for array in arrays:
        categories = array.attrs["categories"] if "categories" in array.attrs else None
        if isinstance(categories, h5py.Reference):
            element = array.file[categories] if categories else None
            if element is None or h5o.get_info(element.id).addr not in known:
                raise _external_error(path, array.name, "its categories lie in no group of the file")


def _require_own_values(path: Path, place: str, array: Any) -> None:
    if array.is_virtual or array.external:
        raise _external_error(path, place, "its values lie in another file")


def _require_known_packing(path: Path, place: str, array: Any) -> None:
    """Check the filters of an array and the unpacked sizes of its chunks."""
    if array.chunks is None:
        return
    listed = array.id.get_create_plist()
    filters = [listed.get_filter(i) for i in range(listed.get_nfilters())]
    unknown = [number for number, *_ in filters if number not in HDF5_FILTERS]
    methods = [HDF5_FILTERS[number] for number, *_ in filters if number not in unknown]
    packing = [i for i, method in enumerate(methods) if method]
    after = [number for number, *_ in filters[packing[0] + 1 :]] if packing else []
    if unknown or set(after) - {_CHECKSUM}:
        found = ", ".join(str(number) for number, *_ in filters)
        msg = (
            f"{path.name} is packed in a way that is not read: '{place.lstrip('/')}' by the HDF5 filters {found}. "
            "Save it again with gzip, or without compression."
        )
        raise InputError(msg)
    if not packing:
        return
    method, values = methods[packing[0]], filters[packing[0]][2]
    most = chunk_bytes(array)
    if method in ("nbit", "scaleoffset"):  # parameters 2 and 4 are the number of values and their size
        if len(values) < 5 or values[2] * values[4] > most:
            raise _unpacks_to_more(path, place, most)
        return
    if method == "bitshuffle" and (len(values) < 5 or not values[4]):  # only reorders bits
        return
    if not may_exceed(array.id.get_storage_size(), method):  # all chunks together
        return
    suspect: list[tuple[tuple[int, ...], int]] = []

    def collect(chunk: Any) -> None:
        if may_exceed(chunk.size, method):
            suspect.append((chunk.chunk_offset, chunk.size))

    array.id.chunk_iter(collect)
    for offset, size in suspect:
        packed = partial(_packed_chunk, array, offset)
        if exceeds(packed, size, method, most=most):
            raise _unpacks_to_more(path, place, most)


def _packed_chunk(array: Any, offset: tuple[int, ...], _: int) -> bytes:
    """The whole compressed chunk; HDF5 cannot read a part of it."""
    return bytes(array.id.read_direct_chunk(offset)[1])


def _external_error(path: Path, place: str, how: str) -> InputError:
    return InputError(
        f"{path.name} refers to other files, which are not opened: '{place.lstrip('/')}' ({how}). "
        "Save a copy that holds all of its data."
    )


def _attribute_error(path: Path, place: str) -> InputError:
    return InputError(
        f"{path.name} has more than {_MAX_ATTRIBUTES:,} attributes at '{place.lstrip('/') or '/'}', or more than "
        f"{_MAX_ATTRIBUTES_IN_ALL:,} in all. Save the object again with anndata or the program that wrote it."
    )


def _link_error(path: Path, place: str) -> InputError:
    return InputError(
        f"{path.name} has links between its own elements, which are not followed: '{place.lstrip('/') or '/'}'. "
        "Open it in the program that wrote it and save a copy without links."
    )


def _unpacks_to_more(path: Path, place: str, most: int) -> InputError:
    return InputError(
        f"{path.name} is damaged: a chunk of '{place.lstrip('/')}' unpacks to more than its {most:,} bytes. "
        "Copy or download it again."
    )
