"""Names in the model: each class and each file is called like no other."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from deepvelo import model

FILES = [path for path in Path(model.__file__).parent.rglob("*.py") if path.name != "__init__.py"]


def twice(names):
    return [name for name, n in Counter(names).items() if n > 1]


def test_no_two_files_or_classes_are_called_alike():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in FILES]
    classes = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert len(classes) > 20
    assert twice(classes) == []
    assert twice(path.name for path in FILES) == []
