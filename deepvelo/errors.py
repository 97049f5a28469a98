"""The errors a user can mend, each one sentence: what is wrong, what was found, what to do."""

from __future__ import annotations

_LONGEST = 4000  # characters of a message; more is a name or a list from outside


class InputError(ValueError):
    """Data, settings or a file are not what a step needs; shown as it is, without a traceback.

    Of a message of more than 4,000 characters the beginning and the end are kept, which says what to do.
    """

    def __init__(self, message: str) -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 1000]} … {message[-900:]}"
        super().__init__(message)


class CancelledError(Exception):
    """The user stopped the work; nothing of it is stored."""
