"""All made-up cases, by kind and by name: files as users bring them, whatever counter or lab they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from tests.cases.made import (
    corrected,
    counted,
    genes,
    groups,
    joins,
    layouts,
    pictures,
    results,
    tables,
    working,
    writing,
)

Maker = Callable[[Path], None]


def makers(module: ModuleType) -> dict[str, Maker]:
    """The cases that a module makes, by name: its own functions."""
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value) and value.__module__ == module.__name__
    }


KINDS = (writing, tables, joins, counted, corrected, pictures, genes, results, groups, layouts, working)
CASES: dict[str, Maker] = {name: make for kind in KINDS for name, make in makers(kind).items()}
