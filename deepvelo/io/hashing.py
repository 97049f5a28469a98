"""Content hashes of data sets, independent of file names."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 2**20  # bytes
Signature = tuple[tuple[str, int, int, int, int], ...]


def data_hash(data: Path | str | AnnData) -> str:
    """Hash of a data set: 32 hexadecimal digits (128 bit BLAKE2b).

    Parameters
    ----------
    data
        A file, a Zarr folder (names and content of its files), or an object in memory (matrices, names, annotations
        and embeddings; not ``uns``, ``obsp`` or ``varp``).

    Returns
    -------
    The same hash for the same content at any path. The hash of a file is cached by its `signature`.

    Raises
    ------
    InputError
        The path does not exist or cannot be read.
    """
    if isinstance(data, AnnData):
        return _hash_adata(data)
    path = Path(data).resolve()
    try:
        return _hash_files(path, signature(path))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}. Check the path and its permissions."
        raise InputError(msg) from None


def signature(path: Path) -> Signature:
    """Relative name, size, mtime, ctime and inode of every file, which change whenever the path does.

    The mtime alone is not enough, because programs that copy or unpack files set it.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = [(file.relative_to(path).as_posix(), file.stat()) for file in files]
    return tuple(
        (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for name, stat in stats
    )


@lru_cache(maxsize=256)
def _hash_files(path: Path, signature: Signature) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, size, *_ in signature:
        if path.is_dir():
            digest.update(f"{name}:{size};".encode())
        with (path / name).open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _hash_adata(adata: AnnData) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(str(adata.shape).encode())
    _add_matrix(digest, "X", adata.X)
    for table in (adata.obs, adata.var):
        _add_table(digest, table)
    _add_all(digest, adata.layers)
    _add_all(digest, adata.obsm)
    return digest.hexdigest()


def _add_table(digest: hashlib.blake2b, table: pd.DataFrame) -> None:
    digest.update(",".join(map(str, table.columns)).encode())
    # columns of lists or mixed types cannot be hashed, their text can
    plain = table.apply(lambda column: column.astype(str) if column.dtype == object else column)
    digest.update(pd.util.hash_pandas_object(plain, index=True).to_numpy().tobytes())


def _add_all(digest: hashlib.blake2b, matrices: Mapping[str, Any]) -> None:
    for name in sorted(matrices):
        _add_matrix(digest, name, matrices[name])


def _add_matrix(digest: hashlib.blake2b, name: str, matrix: Any) -> None:
    digest.update(name.encode())
    if matrix is None:
        return
    if isinstance(matrix, pd.DataFrame):
        _add_table(digest, matrix)
        return
    if sparse.issparse(matrix):
        csr = matrix.tocsr()
        parts = [csr.indptr, csr.indices, csr.data]
    else:
        parts = [np.asarray(matrix)]
    for part in parts:
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
