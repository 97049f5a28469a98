"""Data with known truth, the sample, and public sets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepvelo.datasets.shipped import sample
    from deepvelo.datasets.simulation import simulate

__all__ = ["sample", "simulate"]

# Loaded when first used: pages that only name data sets should not wait for the simulations.
_MODULES = {"sample": "shipped", "simulate": "simulation"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"deepvelo.datasets.{_MODULES[name]}"), name)
    msg = f"module 'deepvelo.datasets' has no attribute {name!r}"
    raise AttributeError(msg)
