"""``deepvelo runs``: one line a run, and exit code 2 if any is damaged."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deepvelo.io.checksums import CHECKSUMS
from deepvelo.lineages import save
from deepvelo.lineages.store import FOLDER
from tests.branched import analysed


@pytest.fixture
def folder(tmp_path, made_up_run) -> Path:
    """A store with a run, one that belongs to it and has an analysis, and something else."""
    (tmp_path / "notes").mkdir()
    base = made_up_run(tmp_path, name="the fit")
    save(analysed(), tmp_path / base)
    return tmp_path


def run_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name != "notes")


def test_runs_are_listed(deepvelo, folder, capsys):
    assert deepvelo("runs", "--runs", folder) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(run_of(folder).name)
    assert line.endswith("the fit")


def test_whole_runs_and_their_analyses_pass(deepvelo, folder, capsys):
    assert deepvelo("runs", "--verify", "--runs", folder) == 0
    assert capsys.readouterr().out == f"{run_of(folder).name}\tok\n"


@pytest.mark.parametrize(
    "name",
    [
        "result.zarr/layers/Ms/0.0",
        "weights.safetensors",
        "info.json",
        f"{FOLDER}/*/drivers.parquet",
        CHECKSUMS,
    ],
)
@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_file_is_named_and_ends_with_2(deepvelo, folder, made_up_run, capsys, name, damage):
    other = made_up_run(folder, name="another")
    (file,) = (path for path in folder.glob(f"*/{name}") if path.relative_to(folder).parts[0] != other)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink() if damage == "gone" else file.write_bytes(content)
    assert deepvelo("runs", "--verify", "--runs", folder) == 2
    lines = sorted(capsys.readouterr().out.splitlines(), key=lambda line: line.endswith("ok"))
    assert name == CHECKSUMS or file.name in lines[0]  # which makes other files look damaged
    assert "damaged" in lines[0]
    assert lines[1:] == [f"{other}\tok"]


def test_a_run_that_cannot_be_listed_is_a_line_with_what_is_wrong(deepvelo, folder, capsys):
    (run_of(folder) / "info.json").write_bytes(b"[" * 100_000)
    assert deepvelo("runs", "--runs", folder) == 2
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "info.json" in out


def test_names_cannot_command_the_terminal(deepvelo, tmp_path, made_up_run, capsys):
    made_up_run(tmp_path, name="evil\x1b[2J\nname\trun")
    assert deepvelo("runs", "--runs", tmp_path) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "\x1b" not in out


@pytest.mark.parametrize("place", ["nowhere", "file", "file/runs"])
def test_a_store_that_is_none_is_one_sentence(deepvelo, tmp_path, capsys, place):
    (tmp_path / "file").write_text("")
    assert deepvelo("runs", "--runs", tmp_path / place) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "run store" in " ".join(err.split())


@pytest.mark.skipif(shutil.which("b2sum") is None, reason="no b2sum here")
def test_any_shell_can_check_the_files(folder):
    for part in (run_of(folder), next((run_of(folder) / FOLDER).iterdir())):
        done = subprocess.run(
            ["b2sum", "--check", "--strict", "--quiet", CHECKSUMS], cwd=part, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
