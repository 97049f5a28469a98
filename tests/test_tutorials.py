"""The tutorials of the documentation run: their code, cell after cell, without Sphinx."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
CELL = re.compile(r"```\{code-cell\} python\n(?::tags:.*\n)?(.*?)```", re.S)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial.md", "judging.md"])
def test_a_tutorial_runs(page):
    cells = CELL.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(cells) > 5
    exec(compile("\n".join(cells), page, "exec"), {})
