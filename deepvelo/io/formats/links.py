"""Refuse folders with links that lead out of them, or with anything but files and folders."""

from __future__ import annotations

import os
from pathlib import Path

from deepvelo.errors import InputError


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder after resolving links; the path need not exist."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def require_inside(folder: Path, *, links: bool = True) -> dict[str, int]:
    """Check every path below a folder before anything in it is opened.

    Parameters
    ----------
    links
        Allow links between paths within the folder.

    Returns
    -------
    Size in bytes of every file by its path relative to the folder; of links, the size of the link.

    Raises
    ------
    InputError
        A link leads out of the folder, or a path is neither a file nor a folder.
    """
    root = folder.resolve()
    sizes: dict[str, int] = {}
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                place = os.path.relpath(entry.path, root)
                if entry.is_symlink():
                    if not is_inside(Path(entry.path), root):
                        msg = (
                            f"{folder.name} refers to a place outside of it, which is not opened: '{place}' is a link. "
                            "Copy the folder with what its links point to, as `cp -rL` does."
                        )
                        raise InputError(msg)
                    if not links:
                        msg = (
                            f"{folder.name} holds links, which are not followed: '{place}'. "
                            "Copy the folder with what its links point to, as `cp -rL` does."
                        )
                        raise InputError(msg)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                elif not entry.is_file(follow_symlinks=False):
                    msg = (
                        f"{folder.name} holds '{place}', which is neither a file nor a folder and is not opened. "
                        "Remove it, or copy the data alone."
                    )
                    raise InputError(msg)
                sizes[place] = entry.stat(follow_symlinks=False).st_size
    return sizes
