"""Entry of the command line, outside the package: the authors' package ``deepvelo`` may have replaced ours."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version


def conflict() -> str:
    """What to do where the distribution ``deepvelo``, imported by the same name, is installed; empty where it is not."""
    try:
        theirs = version("deepvelo")
    except PackageNotFoundError:
        return ""
    return (
        f"The package deepvelo {theirs} is installed in this environment and is imported by the same name as DeepVelo "
        "Explorer: run `pip uninstall deepvelo deepvelo-explorer`, then install only one of them."
    )


def main() -> None:
    """Run the command line unless the other package is installed."""
    if problem := conflict():
        sys.exit(f"Error: {problem}")
    from deepvelo.cli import main as run

    run()
