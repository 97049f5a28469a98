"""Two ways to install: the exact pins that `make` takes, and the ranges and the wheel that pip takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = {
    "requirements.txt": [*PROJECT["dependencies"], *EXTRAS["cluster"], *EXTRAS["app"]],
    "requirements-test.txt": EXTRAS["test"],
    "requirements-docs.txt": EXTRAS["docs"],
    "requirements-peers.txt": EXTRAS["peers"],
}
# What only the app needs, and the cluster for it.
EXTRA_PACKAGES = ["streamlit", "distributed", "cryptography", "pyarrow"]


def pins(file: str) -> dict[str, str]:
    lines = (
        line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
    )
    parsed = [Requirement(line) for line in lines if line]
    return {one.name: str(one.specifier).removeprefix("==") for one in parsed}


def run(code: str, *paths: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("file", PINNED)
def test_every_pin_lies_in_its_range(file):
    ranges = {one.name: one.specifier for one in map(Requirement, PINNED[file])}
    ranges.pop("deepvelo-explorer", None)
    found = pins(file)
    assert set(found) == set(ranges)
    assert [name for name, version in found.items() if not ranges[name].contains(version)] == []


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with the metadata of the authors' package."""
    folder = tmp_path / "theirs"
    (folder / "deepvelo-0.2.4.dist-info").mkdir(parents=True)
    (folder / "deepvelo-0.2.4.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: deepvelo\nVersion: 0.2.4\n", encoding="utf-8"
    )
    return folder


def test_the_command_line_names_the_authors_package(theirs, tmp_path):
    done = run("import deepvelo_explorer; deepvelo_explorer.main()", ROOT, theirs, folder=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "deepvelo 0.2.4" in done.stderr
    assert "pip uninstall" in done.stderr


def test_an_import_warns_of_the_authors_package(theirs, tmp_path):
    done = run("import deepvelo", ROOT, theirs, folder=tmp_path)
    assert done.returncode == 0
    assert "UserWarning: The package deepvelo 0.2.4" in done.stderr
    assert "UserWarning" not in run("import deepvelo", ROOT, folder=tmp_path).stderr


@pytest.mark.slow
def test_the_library_imports_without_the_extras(tmp_path):
    code = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({EXTRA_PACKAGES}))
import deepvelo
for module in pkgutil.walk_packages(deepvelo.__path__, "deepvelo."):
    if module.name != "deepvelo.__main__":
        importlib.import_module(module.name)
"""
    done = run(code, ROOT, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_the_wheel_opens_the_app_from_any_folder(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
        assert not [name for name in packed.namelist() if "__pycache__" in name or name.startswith("tests")]
    code = f"""
import os
from pathlib import Path
from streamlit.testing.v1 import AppTest
from deepvelo import places
from deepvelo.datasets import sample
assert places.ROOT == Path({str(tmp_path)!r}, "installed", "deepvelo", "_app"), places.ROOT
assert places.default_folder("runs") == Path.cwd() / "runs"
assert sample().n_obs == 3000
assert (places.ROOT / ".streamlit" / "config.toml").is_file()
app = AppTest.from_file(str(places.ROOT / "app" / "main.py"), default_timeout=120).run()
assert not app.exception, app.exception
assert app.header[0].value == "Data"
"""
    done = run(code, tmp_path / "installed", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
