"""The errors a user can mend, each one sentence: what is wrong, what was found, what to do."""

from __future__ import annotations


class InputError(ValueError):
    """Data, settings or a file are not what a step needs; shown as it is, without a traceback."""


class CancelledError(Exception):
    """The user stopped the work; nothing of it is stored."""
