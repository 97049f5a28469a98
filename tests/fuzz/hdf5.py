"""Mutations that only an HDF5 file can have: links, values that lie elsewhere, odd types, filters."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.strange import SECRET
from tests.fuzz.trees import Mutation, Unchanged, names, pick, values_of, write_secret, zeros_packed

BOMB = 2**31 + 2**20  # bytes


def link(root: Any, rng: Random) -> str:
    """Soft, hard or external; to another element, in a circle, to nothing or out of the file."""
    name, target = pick(root, rng, arrays=rng.random() < 0.6), pick(root, rng, arrays=rng.random() < 0.6)
    plain, stored = write_secret(Path(root.filename).parent, SECRET)
    kinds = {
        "soft": h5py.SoftLink(f"/{target}"), "circle": h5py.SoftLink(f"/{name}"), "nothing": h5py.SoftLink("/not/there"),
        "root": h5py.SoftLink("/"), "external": h5py.ExternalLink(str(stored), "/values"), "external text": h5py.ExternalLink(str(plain), "/"),
    }  # fmt: skip
    kind = rng.choice([*kinds, "hard", "hard root"])
    beside = rng.random() < 0.4
    place = f"uns/{rng.randrange(1000)}" if beside else name
    if "hard" in kind:
        element = root["/"] if kind == "hard root" else root[target]
        if not beside and (target == name or target.startswith(f"{name}/")):
            raise Unchanged
    if not beside:
        del root[name]
    root[place] = element if "hard" in kind else kinds[kind]
    return f"{place} is a link ({kind}, {target})"


def elsewhere(root: Any, rng: Random) -> str:
    """Values in another file: external storage or a virtual dataset."""
    name = pick(root, rng)
    old = root[name]
    attributes, n = dict(old.attrs), max(1, old.shape[0] if old.shape else 1)
    plain, stored = write_secret(Path(root.filename).parent, SECRET)
    del root[name]
    if rng.random() < 0.5:
        root.create_dataset(name, shape=(n,), dtype="S20", external=[(str(plain), 0, 20 * n)])
        how = "external storage"
    else:
        layout = h5py.VirtualLayout(shape=(60,), dtype=h5py.string_dtype())
        layout[:] = h5py.VirtualSource(str(stored), "values", shape=(60,))
        root.create_virtual_dataset(name, layout)
        how = "a virtual dataset"
    root[name].attrs.update(attributes)
    return f"{name} is {how}"


def odd_type(root: Any, rng: Random) -> str:
    """A type that arrays of numbers and texts seldom have."""
    name = pick(root, rng)
    n = len(values_of(root, name)) if root[name].shape else 1
    attributes = dict(root[name].attrs)
    del root[name]
    made: dict[str, tuple[Any, Any]] = {
        "compound": (np.zeros(n, dtype=[("a", "f4"), ("b", "S5"), ("c", "i8", (3,))]), None),
        "many fields": (np.zeros(n, dtype=[(f"f{i}", "i1") for i in range(200)]), None),
        "opaque": (np.zeros(n, dtype="V16"), None),
        "enum": (np.ones(n, "i1"), h5py.enum_dtype({"FALSE": 0, "TRUE": 1}, "i1")),
        "references": (np.array([root.ref] * n, dtype=h5py.ref_dtype), h5py.ref_dtype),
        "null references": (np.array([h5py.Reference()] * n, dtype=h5py.ref_dtype), h5py.ref_dtype),
        "uneven": (np.array([np.arange(i % 5) for i in range(n)] + [None], dtype=object)[:-1], h5py.vlen_dtype("i4")),
        "arrays": (np.zeros((n, 3), "f4"), None),
        "bytes": (np.array([b"\xff\xfe\xed\xa0\x80"] * n, dtype="S6"), None),
        "bad utf-8": (np.array([b"\xff\xfe\x00x"] * n, dtype=object), h5py.string_dtype("utf-8")),
        "complex": (np.ones(n, "c16"), None),
        "long double": (np.ones(n, "g"), None),
        "nothing": (h5py.Empty("f4"), None),
    }  # fmt: skip
    kind = rng.choice(sorted(made))
    data, dtype = made[kind]
    root.create_dataset(name, data=data, dtype=dtype)
    root[name].attrs.update(attributes)
    return f"{name} holds {kind}"


def packed(root: Any, rng: Random) -> str:
    """Through a filter that nobody has, with a damaged chunk, or a chunk that unpacks to gigabytes."""
    name = pick(root, rng)
    stored = values_of(root, name)
    if stored.dtype.kind not in "biuf" or stored.ndim == 0 or stored.size == 0:
        raise Unchanged
    attributes = dict(root[name].attrs)
    del root[name]
    kind = rng.choice(["unknown filter", "damaged chunk", "bomb", "large bomb", "no chunk", "empty chunk"])
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(stored.shape)
    if kind == "unknown filter":
        plan.set_filter(
            rng.choice([305, 32999, 257]), rng.choice([h5py.h5z.FLAG_OPTIONAL, h5py.h5z.FLAG_MANDATORY]), (1,)
        )
    else:
        plan.set_deflate(4)
    space, parent = h5py.h5s.create_simple(stored.shape), root.require_group(name.rpartition("/")[0] or "/")
    new = h5py.h5d.create(
        parent.id, name.rpartition("/")[2].encode(), h5py.h5t.py_create(stored.dtype), space, plan
    )
    chunks = {"bomb": zeros_packed(2**28), "large bomb": zeros_packed(BOMB), "empty chunk": b""}
    if kind != "no chunk":
        new.write_direct_chunk(
            (0,) * stored.ndim, chunks.get(kind, bytes(rng.randrange(256) for _ in range(40)))
        )
    root[name].attrs.update(attributes)
    return f"{name}: {kind}"


def slash(root: Any, rng: Random) -> str:
    """Move an element one level down or up, as names with a slash do."""
    name = pick(root, rng, arrays=rng.random() < 0.5)
    target = rng.choice(
        [
            f"{name}__x/y",
            name.rpartition("/")[2] + "_up",
            f"layers/{name.replace('/', '_')}",
            f"obsm/{name.replace('/', '_')}",
        ]
    )
    if target in root or target in names(root, arrays=False):
        raise Unchanged
    root.move(name, target)
    return f"{name} moved to {target}"


ONLY_HDF5: dict[str, Mutation] = {
    function.__name__: function for function in (link, elsewhere, odd_type, packed, slash)
}
