"""Text files that users give: plain UTF-8 of a bounded size, read no further than that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from deepvelo.errors import InputError
from deepvelo.wording import in_bytes, in_one_line


def read_text(path: Path, *, most: int) -> str:
    """A whole text file.

    Parameters
    ----------
    most
        Characters that it may have.

    Raises
    ------
    InputError
        It cannot be read, is larger, or is not plain text in UTF-8.
    """
    with _opened(path) as file:
        text = _plain(file.read(most + 1), path)
    if len(text) > most:
        raise _too_large(path, most)
    return text


def read_lines(path: Path, *, most: int, longest: int) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1; one line is in memory at a time.

    Parameters
    ----------
    most, longest
        Characters that the file and a line may have.

    Raises
    ------
    InputError
        As `read_text`, or a line is longer.
    """
    with _opened(path) as file:
        n, n_read = 0, 0
        # not `splitlines`, which also breaks at characters that a name may hold
        while line := _plain(file.readline(longest + 1), path):
            n, n_read = n + 1, n_read + len(line)
            if n_read > most:
                raise _too_large(path, most)
            if len(line) > longest:
                msg = f"{path}, line {n} is longer than {in_bytes(longest)}. Give a text file with shorter lines."
                raise InputError(msg)
            if line.strip():
                yield n, line.removesuffix("\n")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig") as file:  # Excel begins its text files with a mark of UTF-8
            yield file
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        why = getattr(error, "strerror", None) or error
        msg = f"{in_one_line(path, most=200)} cannot be read: {why}. Check the path."
        raise InputError(msg) from error


def _plain(text: str, path: Path) -> str:
    if "\0" in text:
        raise _not_text(path)
    return text


def _not_text(path: Path) -> InputError:
    return InputError(f"{path} is not plain text in UTF-8. Unpack it or save it as text.")


def _too_large(path: Path, most: int) -> InputError:
    return InputError(f"{path} is larger than {in_bytes(most)}. Give a smaller text file.")
