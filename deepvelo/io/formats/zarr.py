"""Zarr folders of anndata, plain or zipped; without links out of the folder or codecs that execute code."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deepvelo.errors import InputError
from deepvelo.io.formats.anndata_groups import check_sizes, is_current_format, read_group
from deepvelo.io.formats.compression import ZARR_CODECS, exceeds, may_exceed, n_declared_strings
from deepvelo.io.formats.declared_sizes import ALWAYS_ALLOWED, chunk_bytes, max_unpacked_bytes
from deepvelo.io.formats.links import require_inside
from deepvelo.io.formats.mudata import read_modality
from deepvelo.io.formats.read_options import ReadOptions
from deepvelo.io.formats.validation import require_valid_parts
from deepvelo.io.formats.zips import members

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "Zarr"
SUFFIXES: Final = (".zarr",)
METADATA: Final = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")
_LARGEST_METADATA: Final = 2**25
_MAX_NODES: Final = 20_000
_DEEPEST: Final = 50
_MAX_IN_SHARD: Final = 10**6
_SLACK: Final = 2**16  # bytes by which incompressible chunks may grow

Read = Callable[[str, int], bytes]
"""Reads the first bytes of a file of the folder or archive."""


def recognizes(path: Path) -> bool:
    """A folder with Zarr metadata or ending, or a zip file of such a folder."""
    if path.is_dir():
        return path.suffix.lower() in SUFFIXES or any((path / name).is_file() for name in METADATA)
    return _top_in_zip(path) is not None


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read a Zarr folder or zip file; a zip file is always read into memory.

    Raises
    ------
    InputError
        The folder contains links, or an array uses an unknown codec or declares an implausible size.
    """
    import zarr

    if path.is_dir():
        # as in HDF5 files, linked elements would take memory several times
        sizes = require_inside(path, links=False)

        def read_file(place: str, n_bytes: int) -> bytes:
            with (path / place).open("rb") as file:
                return file.read(n_bytes)

        options = options.with_size(sum(sizes.values()))
        _require_plain_metadata(sizes, path.name)
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        return _read(group, path.name, options, sizes=sizes, read_file=read_file)
    top = _top_in_zip(path) or ""
    options = replace(options.with_size(path.stat().st_size), lazy_if_large=False, by_gene=None)
    with zipfile.ZipFile(path) as archive:
        above = f"{top}/" if top else ""
        if any({"", ".", ".."} & set(name.removesuffix("/").split("/")) for name in archive.namelist()):
            msg = f"{path.name} names files that lie in no folder of it. Pack the Zarr folder again."
            raise InputError(msg)
        sizes = {
            info.filename.removeprefix(above): info.file_size
            for info in archive.infolist()
            if info.filename.startswith(above) and not info.is_dir()
        }

        def read_member(place: str, n_bytes: int) -> bytes:
            with archive.open(above + place) as file:
                return file.read(n_bytes)

        _require_plain_metadata(sizes, path.name)
        with zarr.storage.ZipStore(path, mode="r") as store:
            group = zarr.open_group(store, mode="r", path=top, use_consolidated=False)
            return _read(group, path.name, options, sizes=sizes, read_file=read_member)


def _read(group: Any, name: str, options: ReadOptions, *, sizes: dict[str, int], read_file: Read) -> AnnData:
    import anndata

    _require_known_packing(group, name, options, sizes=sizes, read_file=read_file)
    for several in ("mod", "tables"):  # of MuData and of SpatialData
        if several in group and "X" not in group and "obs" not in group.get(several, ()):
            return read_modality(group[several], name, options)
    if is_current_format(group):
        return read_group(group, name, options)
    check_sizes(group, name, replace(options, lazy_if_large=False))
    require_valid_parts(group, name)
    return anndata.io.read_zarr(group)


def _top_in_zip(path: Path) -> str | None:
    """Path of the Zarr folder in a zip file; None if there is none or the file is not a zip file."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None
    names = [name for name in members(path) if PurePosixPath(name).name in METADATA]
    names = [name for name in names if "__MACOSX" not in name]
    return min(names, key=lambda name: name.count("/")).rpartition("/")[0] if names else None


def _require_plain_metadata(sizes: dict[str, int], name: str) -> None:
    """Check the number and depth of groups and arrays and the size of their metadata."""
    described = {place: size for place, size in sizes.items() if PurePosixPath(place).name in METADATA[:3]}
    found = {
        place: size for place, size in sizes.items() if place.rpartition("/")[2] in (*METADATA, ".zattrs")
    }
    if (
        len(described) > _MAX_NODES
        or any(place.count("/") > _DEEPEST for place in described)
        or sum(found.values()) > _LARGEST_METADATA
    ):
        msg = (
            f"{name} holds more than {_MAX_NODES:,} groups and arrays, some of them within more than {_DEEPEST} others, or "
            f"descriptions of more than {_LARGEST_METADATA / 2**20:.0f} MB. Save the object again without what is not needed."
        )
        raise InputError(msg)


def _require_known_packing(
    group: Any, name: str, options: ReadOptions, *, sizes: dict[str, int], read_file: Read
) -> None:
    """Check the codecs of every array and the unpacked sizes of its chunks."""
    found = {place: array for place, array in group.members(max_depth=None) if hasattr(array, "shape")}
    codecs = {place: _codecs(array) for place, array in found.items()}
    methods = {place: _method(array, codecs[place], place, name) for place, array in found.items()}
    shards = {place: _Shards(array) for place, array in found.items() if array.shards}
    for file, size in sizes.items():
        place = file
        while place and place not in found:
            place = place.rpartition("/")[0]
        if not place or PurePosixPath(file).name in (*METADATA, ".zattrs"):
            continue
        array = found[place]
        is_text = array.dtype.kind in "OT"
        most = max_unpacked_bytes(options.packed_size) if is_text else chunk_bytes(array)
        method = "" if array.shards else methods[place]
        # incompressible data grow a little; larger files cannot be chunks of this array
        too_large = size > most + most // 8 + _SLACK + 16 * _MAX_IN_SHARD * bool(array.shards)
        if not too_large and may_exceed(size, method):
            too_large = exceeds(partial(read_file, file), size, method, most=most)
        if not too_large and is_text and not array.shards:
            too_large = n_declared_strings(read_file(file, size), codecs[place]) > math.prod(array.chunks)
        if not too_large and array.shards:
            too_large = shards[place].exceed(read_file(file, size), methods[place])
        if too_large:
            msg = (
                f"{name} is damaged: the chunk '{file}' unpacks to more than the array declares. "
                "Copy or download it again."
            )
            raise InputError(msg)


class _Shards:
    """The shards of an array: files with several chunks and an index of their offsets."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self._n = math.prod(-(-whole // part) for whole, part in zip(array.shards, array.chunks, strict=True))
        (settings,) = (
            codec.to_dict()["configuration"]
            for codec in array.metadata.codecs
            if codec.to_dict()["name"] == "sharding_indexed"
        )
        self._first = str(settings["index_location"]).rpartition(".")[2] == "start"
        self._index_codecs = {codec["name"] for codec in settings["index_codecs"]}
        self._codecs = [_plain_name(codec) for codec in settings["codecs"]]

    def exceed(self, content: bytes, method: str) -> bool:
        """Whether a chunk of a shard unpacks to more than declared, or the index cannot be read."""
        n_bytes = 16 * self._n
        n_after = 4 * ("crc32c" in self._index_codecs)
        if len(content) < n_bytes + n_after or self._index_codecs - {"bytes", "crc32c"}:
            return True
        start = 0 if self._first else len(content) - n_bytes - n_after
        places = np.frombuffer(content, "<u8", 2 * self._n, start).reshape(-1, 2)
        places = places[~(places == 2**64 - 1).all(axis=1)]
        n_values, is_text = math.prod(self._array.chunks), self._array.dtype.kind in "OT"
        most = ALWAYS_ALLOWED if is_text else n_values * int(self._array.dtype.itemsize)
        for at, size in places.tolist():
            chunk = content[at : at + size]
            suspect = may_exceed(size, method)
            if suspect and exceeds(partial(_start, chunk), size, method, most=most):
                return True
            if is_text and n_declared_strings(chunk, self._codecs) > n_values:
                return True
        return False


def _method(array: Any, codecs: list[str], place: str, name: str) -> str:
    """Compression method of an array's chunks; empty if uncompressed.

    Raises
    ------
    InputError
        The array uses an unknown codec, or several.
    """
    in_shard = math.prod(
        -(-whole // part) for whole, part in zip(array.shards or (), array.chunks, strict=False)
    )
    methods = [method for codec in codecs if (method := ZARR_CODECS.get(codec, "unknown"))]
    transformed = getattr(array.metadata, "storage_transformers", ())
    twice = codecs.count("sharding_indexed") > 1
    if "unknown" in methods or len(methods) > 1 or transformed or twice or in_shard > _MAX_IN_SHARD:
        found = ", ".join([*codecs, *("a storage transformer" for _ in transformed)])
        msg = (
            f"{name} is packed in a way that is not read: '{place}' by {found}. "
            "Save it again with anndata's own compression; nothing that runs code is unpacked."
        )
        raise InputError(msg)
    return methods[0] if methods else ""


def _codecs(array: Any) -> list[str]:
    """Names of all codecs, including those within shards."""
    metadata = array.metadata
    if metadata.zarr_format == 2:
        return [
            codec.codec_id for codec in (*(metadata.filters or ()), metadata.compressor) if codec is not None
        ]
    names, waiting = [], [codec.to_dict() for codec in metadata.codecs]
    while waiting:
        codec = waiting.pop(0)
        names.append(_plain_name(codec))
        inner = codec.get("configuration", {})
        waiting += [*inner.get("codecs", ()), *inner.get("index_codecs", ())]
    return names


def _start(content: bytes, n_bytes: int) -> bytes:
    return content[:n_bytes]


def _plain_name(codec: dict[str, Any]) -> str:
    return str(codec["name"]).removeprefix("numcodecs.")
