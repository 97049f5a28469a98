"""Mutations of what HDF5 files and Zarr folders share: groups, arrays and attributes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import zarr

from tests.fuzz.strange import NUMBERS, in_words, text

DTYPES = ["i1", "u1", "i2", "i8", "u8", "f2", "f8", "c8", "?", "S4", "U"]
POINTING = ("indptr", "indices", "codes", "mask", "values", "a", "b", "w")  # what says where values are
HUGE = [10**5, 10**6, 2**31, 2**33, 10**12]

Mutation = Callable[[Any, Random], str]
"""Changes an open file or group and says how."""


class Unchanged(Exception):
    """This mutation has nothing to change here."""


class Unsummarized(Exception):
    """Done, and a summary of all metadata is not to be made: it would take too long."""


def is_zarr(root: Any) -> bool:
    """Whether it is a Zarr group, and not one of HDF5."""
    return isinstance(root, zarr.Group)


def names(root: Any, *, arrays: bool) -> list[str]:
    """Paths of all arrays, or of all groups, in the order of the alphabet."""
    found: list[str] = []

    def look(group: Any, above: str) -> None:
        for name in sorted(group):
            with suppress(
                KeyError, OSError, RuntimeError
            ):  # a link that leads nowhere, by an earlier mutation
                element = group[name]
                inner = hasattr(element, "keys")
                if inner != arrays:
                    found.append(f"{above}{name}")
                if inner and above.count("/") < 20:
                    look(element, f"{above}{name}/")

    look(root, "")
    return found


def pick(root: Any, rng: Random, *, arrays: bool = True) -> str:
    """One of them; what says where values are more often, and seldom what few look at."""
    found = names(root, arrays=arrays)
    if not found:
        raise Unchanged
    weights = [
        (4 if name.rpartition("/")[2] in POINTING else 1) * (0.3 if name.startswith(("uns", "raw")) else 1)
        for name in found
    ]
    return rng.choices(found, weights)[0]


def values_of(root: Any, name: str) -> np.ndarray:
    """The whole array; texts as objects."""
    return np.asarray(root[name][...])


def put(root: Any, name: str, values: np.ndarray, **how: Any) -> None:
    """Store an array where another was, with its attributes."""
    attributes = dict(root[name].attrs)
    del root[name]
    create(root, name, values, **how)
    with suppress(TypeError, ValueError, KeyError):
        root[name].attrs.update(attributes)


def create(root: Any, name: str, values: np.ndarray, **how: Any) -> None:
    """A new array; texts as text."""
    values = np.asarray(values)
    is_text = values.dtype.kind in "OUT"
    if not is_zarr(root):
        root.create_dataset(
            name,
            data=values.astype(object) if is_text else values,
            dtype=h5py.string_dtype() if is_text else None,
            **how,
        )
    elif is_text:
        stored = root.create_array(name, shape=values.shape, dtype=str)
        stored[...] = np.vectorize(_as_text, otypes=[object])(values) if values.size else values
    else:
        root.create_array(name, data=values)


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def cast(root: Any, rng: Random) -> str:
    name, dtype = pick(root, rng), rng.choice(DTYPES)
    values = values_of(root, name)
    with np.errstate(all="ignore"):
        put(root, name, values.astype(dtype))
    return f"{name} as {dtype}"


def shape(root: Any, rng: Random) -> str:
    name = pick(root, rng)
    values = values_of(root, name)
    if values.ndim == 0:
        changed, how = np.full(3, values.item()), "three of it"
    else:
        how, change = rng.choice(_SHAPES)
        changed = change(values)
    put(root, name, changed)
    return f"{name}: {how}, {changed.shape}"


_SHAPES: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
    ("one less", lambda v: v[:-1]),
    ("one more", lambda v: np.concatenate([v, v[-1:]])),
    ("half", lambda v: v[: len(v) // 2]),
    ("twice", lambda v: np.concatenate([v, v])),
    ("transposed", lambda v: v.T),
    ("flat", lambda v: v.reshape(-1)),
    ("another axis", lambda v: v[..., None]),
    ("first axis", lambda v: v[None]),
    ("empty", lambda v: v[:0]),
    ("no columns", lambda v: v.reshape(len(v), -1)[:, :0]),
    ("a scalar", lambda v: v.reshape(-1)[0] if v.size else np.float32(0)),
    ("backwards", lambda v: v[::-1]),
]  # fmt: skip


def values(root: Any, rng: Random) -> str:
    """Some or all numbers become strange ones; some texts strange texts."""
    name = pick(root, rng)
    stored = values_of(root, name).copy()
    if stored.size == 0:
        raise Unchanged
    flat = stored.reshape(-1)
    places = (
        range(flat.size)
        if rng.random() < 0.3
        else rng.sample(range(flat.size), min(flat.size, rng.choice([1, 2, 10])))
    )
    if stored.dtype.kind in "OUST":
        new: Any = text(rng)
        flat = flat.astype(object)
        for place in places:
            flat[place] = new.replace("\0", "") if not is_zarr(root) else new
        stored = flat.reshape(stored.shape)
    else:
        new = rng.choice(NUMBERS)
        wider = (
            np.result_type(stored.dtype, np.min_scalar_type(new))
            if stored.dtype.kind != "V"
            else stored.dtype
        )
        stored = stored.astype(wider) if rng.random() < 0.5 else stored
        flat = stored.reshape(-1)
        with np.errstate(all="ignore"):
            flat[list(places)] = np.asarray(new).astype(stored.dtype)
        stored = flat.reshape(stored.shape)
    put(root, name, stored)
    return f"{name}: {len(places)} of {stored.size} are {in_words(new)}"


def same(root: Any, rng: Random) -> str:
    """All values alike, or shuffled."""
    name = pick(root, rng)
    stored = values_of(root, name)
    if stored.size == 0 or stored.ndim == 0:
        raise Unchanged
    shuffled = rng.random() < 0.5
    if shuffled:
        changed = np.random.default_rng(rng.randrange(2**31)).permutation(stored)
    else:
        changed = np.broadcast_to(stored[:1], stored.shape).copy()
    put(root, name, changed)
    return f"{name}: {'shuffled' if shuffled else 'all as the first'}"


def attribute(root: Any, rng: Random) -> str:
    places = ["", *names(root, arrays=False), *names(root, arrays=True)]
    owners = [place for place in places if len((root[place] if place else root).attrs)]
    if not owners:
        raise Unchanged
    place = rng.choice(owners)
    attributes = (root[place] if place else root).attrs
    name = rng.choice(sorted(attributes))
    old = attributes[name]
    match rng.randrange(6):
        case 0:
            del attributes[name]
            return f"no attribute {place}@{name}"
        case 1:
            new: Any = text(rng).replace("\0", "")
        case 2:
            new = rng.choice([number for number in NUMBERS if np.isfinite(number)])
        case 3:
            new = [rng.choice([*HUGE, -1, 0, 3]), rng.choice([*HUGE, -1, 0, 3])]
        case 4 if np.ndim(old) and len(old) > 1:
            new = (
                [*np.asarray(old).tolist()[1:], *np.asarray(old).tolist()[1:]]
                if rng.random() < 0.5
                else np.asarray(old).tolist()[1:]
            )
        case _:
            known = ["csr_matrix", "csc_matrix", "array", "dataframe", "dict", "categorical", "string-array", "anndata", "rec-array",
                     "nullable-integer", "nullable-boolean", "awkward-array", "numeric-scalar", "string", "null", "of-tomorrow"]  # fmt: skip
            new = rng.choice(known)
    if not is_zarr(root) and isinstance(new, str) and len(new) > 60_000:
        new = new[:60_000]
    attributes[name] = new
    return f"attribute {place}@{name} is {in_words(new)}"


def remove(root: Any, rng: Random) -> str:
    name = pick(root, rng, arrays=rng.random() < 0.7)
    del root[name]
    return f"no {name}"


def copy(root: Any, rng: Random) -> str:
    """Under a strange name beside it, or in the place of another."""
    name = pick(root, rng)
    stored, attributes = values_of(root, name), dict(root[name].attrs)
    if rng.random() < 0.5:
        target = pick(root, rng, arrays=rng.random() < 0.7)
        if target == name or name.startswith(f"{target}/"):
            raise Unchanged
        del root[target]
    else:
        target = f"{name.rpartition('/')[0]}/{_name(text(rng))}".lstrip("/")
        if target in root:
            raise Unchanged
    create(root, target, stored)
    root[target].attrs.update(attributes)
    return f"{name} copied to {in_words(target)}"


def _name(strange: str) -> str:
    return strange.replace("\0", "").replace("/", "∕").strip(".")[:200] or "x"


def kind(root: Any, rng: Random) -> str:
    """A group where an array was, or the other way."""
    as_group = rng.random() < 0.5
    name = pick(root, rng, arrays=as_group)
    del root[name]
    if as_group:
        root.create_group(name)
    else:
        create(root, name, np.arange(rng.choice([0, 1, 60])))
    return f"{name} is {'an empty group' if as_group else 'an array'}"


def nest(root: Any, rng: Random) -> str:
    """Groups in groups in groups."""
    depth, top = rng.choice([30, 100, 800]), rng.choice(["uns", "obsm", "layers", "obs", "uns/neighbors"])
    about = {"encoding-type": "dict", "encoding-version": "0.1.0"} if rng.random() < 0.8 else {}
    group = root.require_group(top)
    if is_zarr(root):  # as files: through the library it takes minutes
        folder = Path(root.store.root) / top
        old = (folder / ".zgroup").is_file()
        for _ in range(depth):
            folder = folder / "d"
            folder.mkdir()
            if old:
                (folder / ".zgroup").write_text('{"zarr_format": 2}')
                (folder / ".zattrs").write_text(json.dumps(about))
            else:
                meta = {"zarr_format": 3, "node_type": "group", "attributes": about}
                (folder / "zarr.json").write_text(json.dumps(meta))
        raise Unsummarized(f"{depth} groups in each other below {top}")
    for _ in range(depth):
        group = group.create_group("d")
        group.attrs.update(about)
    create(group, "end", np.zeros(2))
    return f"{depth} groups in each other below {top}"


def many(root: Any, rng: Random) -> str:
    top, n = rng.choice(["uns", "obsm", "layers", "obs"]), rng.choice([20, 100])
    group = root.require_group(top)
    for i in range(n):
        create(group, f"more{i}", np.zeros(1, "f4"))
    return f"{n} more in {top}"


def declare(root: Any, rng: Random) -> str:
    """A shape of which next to nothing is stored, in the place of an array or beside it."""
    name = pick(root, rng)
    stored = root[name]
    attributes, dtype = dict(stored.attrs), stored.dtype
    if dtype.kind not in "biuf":
        dtype = np.dtype("f4")
    n_axes = max(1, len(stored.shape)) if rng.random() < 0.7 else 2
    large = [rng.choice([*HUGE, 60, 50]) for _ in range(n_axes)]
    if rng.random() < 0.5:
        name = rng.choice(
            [
                "uns/large",
                "obsm/X_large",
                "layers/large",
                "obsp/large",
                "varm/large",
                "raw/varm/large",
                "obs/large",
            ]
        )
        attributes = {"encoding-type": "array", "encoding-version": "0.2.0"}
        large = [60, *large[1:]] if name.startswith("obsm") and rng.random() < 0.5 else large
    if name in root:
        del root[name]
    chunks = tuple(min(size, 1000) for size in large)
    if is_zarr(root):
        root.create_array(name, shape=tuple(large), chunks=chunks, dtype=dtype)
    else:
        root.create_dataset(name, shape=tuple(large), chunks=chunks, dtype=dtype, compression="gzip")
    root[name].attrs.update(attributes)
    return f"{name} declares {large} of {dtype}"


SHARED: dict[str, Mutation] = {
    function.__name__: function
    for function in (cast, shape, values, same, attribute, remove, copy, kind, nest, many, declare)
}


def zeros_packed(n_bytes: int, *, window: int = zlib.MAX_WBITS) -> bytes:
    """So many zeros packed with zlib, made without having them: a block that is repeated."""
    block = 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -window)
    packer.compress(bytes(block))
    packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    n_blocks = n_bytes // block
    checksum = ((n_blocks * block % 65521) << 16) | 1  # Adler-32 of zeros
    return b"\x78\x9c" + again * n_blocks + b"\x03\x00" + checksum.to_bytes(4, "big")


def write_secret(folder: Path, words: str) -> tuple[Path, Path]:
    """A text and an HDF5 file outside of what is read."""
    plain, stored = folder / "secret.txt", folder / "secret.h5"
    if not plain.exists():
        plain.write_text(f"{words}\n" * 300, encoding="utf-8")
        with h5py.File(stored, "w") as file:
            file["values"] = np.array([words] * 60, dtype=h5py.string_dtype())
            file["numbers"] = np.arange(60.0)
    return plain, stored
