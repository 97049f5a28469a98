"""Store lineage analyses atomically in the folder of their run, and delete them with it."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pandas as pd
from pydantic import AwareDatetime, TypeAdapter

from deepvelo.errors import InputError
from deepvelo.io import checksums
from deepvelo.io.runs import LINEAGES_FOLDER as FOLDER
from deepvelo.io.write import new_folder, remove_leftovers, token
from deepvelo.lineages.analysis import Lineages
from deepvelo.lineages.settings import LineageSettings, key_of, to_dict

_INFO = "info.json"
# Tables with their required columns; analyses of earlier versions that lack them are ignored.
_TABLES: dict[str, list[str]] = {
    "cells": ["part"],
    "edges": ["source_cells", "target_cells"],
    "drivers": ["measure"],
}


@dataclass(frozen=True, kw_only=True)
class _Info:
    settings: LineageSettings
    root: str
    last_groups: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    created: AwareDatetime


_SCHEMA: TypeAdapter[_Info] = TypeAdapter(_Info)


def save(lineages: Lineages, run_folder: Path) -> None:
    """Write an analysis with checksums into its run's folder, replacing one with the same settings.

    Raises
    ------
    InputError
        The run was deleted, or its folder cannot be written to.
    """
    folder = run_folder / FOLDER / key_of(lineages.settings)
    partial = run_folder / FOLDER / f".{folder.name}-{token()}"
    info = {
        "settings": to_dict(lineages.settings),
        "root": lineages.root,
        "last_groups": lineages.last_groups,
        "warnings": lineages.warnings,
        "seconds": lineages.seconds,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    try:
        (run_folder / FOLDER).mkdir(exist_ok=True)  # without parents, so that a deleted run is not recreated
        remove_leftovers((run_folder / FOLDER).glob(".*"))
        with new_folder(partial):  # renamed inside the block once the analysis is complete
            for name in _TABLES:
                getattr(lineages, name).to_parquet(partial / f"{name}.parquet")
            (partial / _INFO).write_text(json.dumps(info, indent=2, ensure_ascii=False), encoding="utf-8")
            checksums.write_checksums(partial)
            _replace_analysis(partial, folder)
    except FileNotFoundError:  # the run was deleted during the analysis
        msg = f"There is no run {run_folder.name!r} any more, so its lineages are not saved. Choose another run."
        raise InputError(msg) from None
    except OSError as error:
        msg = (
            f"The lineages could not be saved beside run {run_folder.name} ({error.strerror or error}). "
            "Make room there, or allow writing."
        )
        raise InputError(msg) from error


def _replace_analysis(partial: Path, folder: Path) -> None:
    """Rename, replacing an earlier analysis; an equal analysis of a faster worker is kept."""
    earlier = partial.with_name(f"{partial.name}-earlier")
    try:
        if folder.exists():
            folder.rename(earlier)
        partial.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            if earlier.exists():
                earlier.rename(folder)
            raise
    finally:
        shutil.rmtree(earlier, ignore_errors=True)


def load(run_folder: Path, settings: LineageSettings) -> Lineages | None:
    """The analysis of a run with exactly these settings; None if there is none or it is damaged."""
    try:
        info, tables = _read(run_folder / FOLDER / key_of(settings))
    except _NO_ANALYSIS:
        return None
    return Lineages(
        settings=info.settings,
        root=info.root,
        last_groups=info.last_groups,
        warnings=info.warnings,
        seconds=info.seconds,
        **tables,
    )


def stored(run_folder: Path) -> list[LineageSettings]:
    """Settings of a run's readable analyses, newest first."""
    found = []
    for folder in (run_folder / FOLDER).glob("[0-9a-f]*"):
        try:
            info, _ = _read(folder)
        except _NO_ANALYSIS:
            continue
        if key_of(info.settings) == folder.name:  # differs if a later version added a setting
            found.append((info.created, info.settings))
    return [settings for _, settings in sorted(found, key=lambda pair: pair[0], reverse=True)]


# Errors of a damaged file or one of an earlier version, including those of pyarrow.
_NO_ANALYSIS = (OSError, ValueError, KeyError, TypeError)


def _read(folder: Path) -> tuple[_Info, dict[str, pd.DataFrame]]:
    """Metadata and tables of an analysis.

    Raises
    ------
    InputError
        A file differs from what was saved.
    """
    names = checksums.read_checksums(folder)
    info = _SCHEMA.validate_json(checksums.read_verified(folder, _INFO, names))
    tables = {
        name: pd.read_parquet(BytesIO(checksums.read_verified(folder, f"{name}.parquet", names)))
        for name in _TABLES
    }
    for name, columns in _TABLES.items():
        tables[name][columns]
    return info, tables
