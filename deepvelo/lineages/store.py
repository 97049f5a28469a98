"""Analyses beside the run they belong to, whole or not at all, and deleted with it."""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from deepvelo.errors import InputError
from deepvelo.io.write import remove_leftovers
from deepvelo.lineages.analysis import Lineages
from deepvelo.lineages.settings import LineageSettings, from_dict, key_of, to_dict

FOLDER = "lineages"
_INFO = "info.json"
# Each with columns it cannot do without: an analysis of an earlier version may lack them, and is then none.
_TABLES: dict[str, list[str]] = {
    "cells": ["part"],
    "edges": ["source_cells", "target_cells"],
    "drivers": ["measure"],
}


def save(lineages: Lineages, run_folder: Path) -> None:
    """Write an analysis into its run's folder; one with the same settings is replaced.

    Raises
    ------
    InputError
        The run is gone, or its folder cannot be written to.
    """
    place = run_folder / FOLDER / key_of(lineages.settings)
    aside = run_folder / FOLDER / f".{place.name}-{secrets.token_hex(3)}"
    info = {
        "settings": to_dict(lineages.settings),
        "root": lineages.root,
        "last_groups": lineages.last_groups,
        "warnings": lineages.warnings,
        "seconds": lineages.seconds,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    try:
        (run_folder / FOLDER).mkdir(exist_ok=True)  # without parents: a run that was deleted must stay so
        remove_leftovers((run_folder / FOLDER).glob(".*"))
        aside.mkdir()
        for name in _TABLES:
            getattr(lineages, name).to_parquet(aside / f"{name}.parquet")
        (aside / _INFO).write_text(json.dumps(info, indent=2, ensure_ascii=False), encoding="utf-8")
        _put(aside, place)
    except FileNotFoundError:  # deleted while the analysis went on
        msg = f"There is no run {run_folder.name!r} any more, so its lineages are not saved. Choose another run."
        raise InputError(msg) from None
    except OSError as error:
        msg = (
            f"The lineages could not be saved beside run {run_folder.name} ({error.strerror or error}). "
            "Make room there, or allow writing."
        )
        raise InputError(msg) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, place: Path) -> None:
    """Rename, in the place of an earlier one; another worker that was faster with the same analysis is as good."""
    earlier = aside.with_name(f"{aside.name}-earlier")
    try:
        if place.exists():
            place.rename(earlier)
        aside.rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            if earlier.exists():
                earlier.rename(place)
            raise
    finally:
        shutil.rmtree(earlier, ignore_errors=True)


def load(run_folder: Path, settings: LineageSettings) -> Lineages | None:
    """The analysis of a run with just these settings; None where there is none, or it cannot be read."""
    place = run_folder / FOLDER / key_of(settings)
    try:
        info = json.loads((place / _INFO).read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(place / f"{name}.parquet") for name in _TABLES}
        for name, columns in _TABLES.items():
            tables[name][columns]
        return Lineages(
            settings=from_dict(info["settings"]),
            root=info["root"],
            last_groups=tuple(info["last_groups"]),
            warnings=tuple(info["warnings"]),
            seconds=float(info["seconds"]),
            **tables,
        )
    except (OSError, ValueError, KeyError, TypeError):  # also what pyarrow says of a damaged file
        return None


def stored(run_folder: Path) -> list[LineageSettings]:
    """Settings of a run's analyses, the newest first; what `load` could not read is left out."""
    found = []
    for place in (run_folder / FOLDER).glob("[0-9a-f]*"):
        try:
            info = json.loads((place / _INFO).read_text(encoding="utf-8"))
            settings = from_dict(info["settings"])
            for name, columns in _TABLES.items():
                pd.read_parquet(place / f"{name}.parquet", columns=columns)  # fails for what was cut short
            if key_of(settings) == place.name:  # not so where a later version added a setting
                found.append((str(info["created"]), settings))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [settings for _, settings in sorted(found, key=lambda pair: pair[0], reverse=True)]
