"""What a store and a folder must be like, whenever the process that wrote to them was killed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deepvelo.io.runs import RunStore

Contents = dict[str, dict[str, str]]
"""Hash of each file, by run and path."""


def contents(store: RunStore) -> Contents:
    """Of all listed runs; each must be whole by its own checksums."""
    listed = store.list()
    assert not store.damaged()
    for info in listed:
        assert store.verify(info.run_id) is None
    return {info.run_id: hashes(store.folder / info.run_id) for info in listed}


def hashes(folder: Path) -> dict[str, str]:
    """Hash of each file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def require_kept(before: Contents, after: Contents) -> None:
    """Runs that were there are there, byte by byte."""
    assert {run_id: after.get(run_id) for run_id in before} == before


def leftovers(store: RunStore) -> set[str]:
    """What is in a store besides runs and the journal, after the next process began to write there."""
    with store.scratch() as own:
        names = {path.name for path in store.folder.iterdir()} - {own.name}
    return names - {info.run_id for info in store.list()} - {".jobs"}
