"""Where the files of the app lie: beside the package in a clone, inside it when installed from a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_INSTALLED: Final = _PACKAGE / "_app"

ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""Folder with ``app``, ``pages``, ``sample_data`` and ``.streamlit``."""


def default_folder(name: str) -> Path:
    """Folder ``data`` or ``runs`` where the user names none: in the clone, or in the current folder when installed."""
    return (Path.cwd() if ROOT == _INSTALLED else ROOT) / name
