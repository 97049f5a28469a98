"""Which part of the code may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE_FOLDERS = ("compare", "data", "lineages", "phase_portraits", "train")
# Cached calls into the library: what they return depends on their arguments alone.
QUERIES = sorted(
    [ROOT / "app" / "shared" / f"{name}.py" for name in ("cached", "comparison", "controls")]
    + list((ROOT / "app").glob("*/queries.py"))
)
MAY_IMPORT = {"app", "app.background.job_status", "app.background.jobs", "app.shared.files"}
MAY_USE = {"cache_data", "cache_resource"}  # of Streamlit


def modules(folder: str) -> Iterator[Path]:
    return (ROOT / folder).rglob("*.py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Modules that a file imports, those inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            files = {name for name in names if (ROOT / f"{name.replace('.', '/')}.py").is_file()}
            found |= files or {str(node.module)}
    return found


def of_streamlit(path: Path) -> set[str]:
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "st"
    }


@pytest.mark.parametrize("path", QUERIES, ids=dotted)
def test_queries_read_no_session_and_draw_nothing(path):
    assert of_streamlit(path) <= MAY_USE
    of_app = {name for name in imported(path) if name.split(".")[0] == "app"}
    assert of_app - {dotted(query) for query in QUERIES} <= MAY_IMPORT


def test_only_queries_keep_answers_in_caches():
    keeping = {path for path in modules("app") if of_streamlit(path) & MAY_USE} - set(QUERIES)
    assert {dotted(path) for path in keeping} == {"app.background.ended_visits"}  # begins once a process


def test_pages_share_through_app_shared_alone():
    strangers = [
        (dotted(path), name)
        for path in modules("app")
        for name in imported(path)
        if (room := name.split(".")[1:2]) and room[0] in PAGE_FOLDERS and path.parent.name != room[0]
        if name.startswith("app.")
    ]
    assert strangers == []


def test_session_state_and_the_address_are_touched_in_one_file():
    paths = [*modules("app"), *modules("pages")]
    assert [dotted(path) for path in paths if of_streamlit(path) & {"session_state", "query_params"}] == [
        "app.session"
    ]


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        ("deepvelo", {"streamlit", "app", "pages"}),
        ("deepvelo/model", {"anndata", "scanpy", "scvelo"}),
        ("deepvelo/io", {"deepvelo.pp", "deepvelo.tl", "deepvelo.pl"}),
    ],
)
def test_the_library_imports_downwards(folder, never):
    upwards = [
        (dotted(path), name)
        for path in modules(folder)
        for name in imported(path)
        if any(name == other or name.startswith(f"{other}.") for other in never)
    ]
    assert upwards == []


def test_no_benchmark_imports_in_a_circle():
    graph = {
        dotted(path): {name for name in imported(path) if name.startswith("benchmarks.")}
        for path in modules("benchmarks")
    }
    while free := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in free:
            del graph[name]
    assert graph == {}
