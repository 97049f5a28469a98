"""Cell-specific kinetic rates of RNA velocity.

``deepvelo.io`` reads, ``deepvelo.pp`` prepares, ``deepvelo.tl`` fits and scores, ``deepvelo.pl`` draws;
``deepvelo.workflow.run`` does all of it but the drawing. Each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import warnings
from importlib.metadata import version
from types import ModuleType

from deepvelo_explorer import conflict

__version__ = version("deepvelo-explorer")
__all__ = ["__version__", "checks", "config", "datasets", "io", "keys", "pl", "pp", "tl", "workflow"]

if _conflict := conflict():
    warnings.warn(_conflict, stacklevel=2)


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"deepvelo.{name}")
    msg = f"module 'deepvelo' has no attribute {name!r}"
    raise AttributeError(msg)
