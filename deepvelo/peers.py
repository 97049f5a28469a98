"""Methods of other groups that come with a package of their own: which are installed here, and how to install them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from deepvelo.config import FITTED, METHOD_LABELS, Method
from deepvelo.errors import InputError

# Package and the version this program was tested with, as in requirements-peers.txt.
PACKAGES: Final[dict[Method, tuple[str, str]]] = {"graphvelo": ("graphvelo", "0.1.9")}


def fitted_here() -> tuple[Method, ...]:
    """Methods that can fit velocities on this machine: all but those whose package is not installed."""
    return tuple(method for method in FITTED if not _missing(method))


def require_installed(method: Method) -> None:
    """Raise an `InputError` with the command to run, if the method's package is absent or of another version."""
    if missing := _missing(method):
        raise InputError(missing)


def _missing(method: Method) -> str:
    """Why a method cannot be fitted here, in one sentence; empty where it can."""
    if method not in PACKAGES:
        return ""
    name, tested = PACKAGES[method]
    remedy = f"run `pip install {name}=={tested}`, or choose another method."
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{METHOD_LABELS[method]} is not installed: {remedy}"
    if found != tested:
        return f"{METHOD_LABELS[method]} {found} is installed and {tested} is needed: {remedy}"
    return ""
