"""Small files that check themselves: a line with a JSON description, and binary content below it.

The line starts with a checksum of the description, which holds one of the content, so that a list of files reads their
first lines only.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
from pathlib import Path
from typing import Any, Final

from deepvelo.errors import InputError
from deepvelo.io.checksums import read_first_line, read_regular_file
from deepvelo.io.write import write_whole
from deepvelo.wording import in_one_line

LONGEST_NAME: Final = 200  # characters
FORMAT: Final = 1
_ID = re.compile(r"[0-9a-f]{16}")
_MAX_LINE, _MAX_FILE = 2**20, 2**28  # bytes


def new_id() -> str:
    """A random id, for the name of a file."""
    return secrets.token_hex(8)


def path_of(folder: Path, file_id: str, suffix: str) -> Path:
    """Path of a file by its id, which may come from an address.

    Raises
    ------
    FileNotFoundError
        No file can have such an id.
    """
    if not _ID.fullmatch(file_id):
        raise FileNotFoundError
    return folder / f"{file_id}{suffix}"


def files(folder: Path, suffix: str) -> list[Path]:
    """The files in a folder whose names are ids; none if the folder cannot be read."""
    try:
        return [path for path in folder.iterdir() if path.suffix == suffix and _ID.fullmatch(path.stem)]
    except OSError:  # nothing was saved yet
        return []


def plain_name(name: str, what: str) -> str:
    """A name as it is stored, in Unicode's composed form and without blanks around it.

    Raises
    ------
    InputError
        The name is empty or has more than 200 characters.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain:
        msg = f"The {what} has no name. Give it one."
        raise InputError(msg)
    if len(plain) > LONGEST_NAME:
        raise too_long(plain, what)
    return plain


def too_long(name: str, what: str) -> InputError:
    """The error to raise for a name that does not fit."""
    return InputError(
        f"The name of the {what} has {len(name):,} characters, and at most {LONGEST_NAME} fit. Shorten it."
    )


def write(path: Path, description: dict[str, Any], content: bytes) -> None:
    """Write a file, which appears only once it is complete.

    Parameters
    ----------
    description
        Values that JSON can hold, with the ``name`` that messages quote.

    Raises
    ------
    InputError
        The description is too long, the folder is missing or may not be written, or the disk is full.
    """
    values = {"format": FORMAT, "checksum": _checksum(content), **description}
    line = json.dumps(values).encode()  # ASCII, so that any name can be stored
    first = b"%s %s\n" % (_checksum(line).encode(), line)
    if len(first) > _MAX_LINE:
        msg = (
            f"The description of {in_one_line(str(description['name']), most=LONGEST_NAME)!r} takes {len(first):,} bytes, "
            f"and at most {_MAX_LINE:,} fit. Shorten names."
        )
        raise InputError(msg)
    whole = first + content
    write_whole(path, lambda partial: partial.write_bytes(whole))


def read_description(path: Path, what: str) -> dict[str, Any]:
    """The description in a file.

    Parameters
    ----------
    what
        What the file is, for messages.

    Raises
    ------
    FileNotFoundError
        The file was deleted.
    InputError
        It is damaged, or was saved by a newer version.
    """
    try:
        line = read_first_line(path, max_bytes=_MAX_LINE)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, what, error.strerror or str(error)) from None
    return _parsed(path, line.removesuffix(b"\n"), what)[0]


def read(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    """The description and the content of a file; errors as of `read_description`."""
    try:
        line, _, content = read_regular_file(path, max_bytes=_MAX_FILE).partition(b"\n")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, what, error.strerror or str(error)) from None
    description, checksum = _parsed(path, line, what)
    if _checksum(content) != checksum:
        raise damaged(path, what, "its cells are not what was saved", name=str(description.get("name", "")))
    return description, content


def damaged(path: Path, what: str, why: str, *, name: str = "") -> InputError:
    """The error to raise for a file that cannot be read."""
    called = in_one_line(name, most=LONGEST_NAME) or path.name
    return InputError(
        f"The saved {what} {called!r} is damaged: {why}. Delete {path} and save the {what} again."
    )


def _parsed(path: Path, line: bytes, what: str) -> tuple[dict[str, Any], str]:
    """The description in a line, and the checksum of the content."""
    checksum, _, text = line.partition(b" ")
    if _checksum(text).encode() != checksum:
        raise damaged(path, what, "its description is not what was saved")
    values: dict[str, Any] = json.loads(text)
    if (stored_format := values.pop("format", None)) != FORMAT:
        name = in_one_line(values.get("name", ""), most=LONGEST_NAME)
        msg = (
            f"The saved {what} {name!r} was saved in format {stored_format} by a newer version of DeepVelo Explorer, and "
            f"this version reads format {FORMAT}. Update DeepVelo Explorer to open it."
        )
        raise InputError(msg)
    return values, str(values.pop("checksum", ""))


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
