"""A damaged folder in the run store is one line with its sentence, and the other runs are as before."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import checksums
from deepvelo.io.runs import RunStore

META = "result.zarr/.zmetadata"


@pytest.fixture
def store(tmp_path, run_template) -> RunStore:
    """A store with two whole runs, of which tests damage the first."""
    shutil.copytree(run_template, tmp_path / "first")
    shutil.copytree(run_template, tmp_path / "second", copy_function=os.link)  # faster; no test writes to it
    return RunStore(tmp_path)


def info_of(store: RunStore, run_id: str = "first") -> Path:
    return store.folder / run_id / "info.json"


def set_info(store: RunStore, run_id: str = "first", **changes: object) -> None:
    """Change what a run says of itself; ``None`` is null."""
    file = info_of(store, run_id)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def replaced(old: str, new: str) -> Callable[[RunStore], object]:
    """Text of ``info.json`` with something else in one place."""

    def change(store: RunStore) -> None:
        text = info_of(store).read_text()
        assert old in text
        info_of(store).write_text(text.replace(old, new, 1))

    return change


def wrote(content: bytes) -> Callable[[RunStore], object]:
    return lambda store: info_of(store).write_bytes(content)


def in_place_of_info(make: Callable[[Path], object]) -> Callable[[RunStore], object]:
    def change(store: RunStore) -> None:
        info_of(store).unlink()
        make(info_of(store))

    return change


def with_metrics(**changes: object) -> Callable[[RunStore], object]:
    def change(store: RunStore) -> None:
        metrics = json.loads(info_of(store).read_text())["metrics"] | changes
        set_info(store, metrics={name: value for name, value in metrics.items() if value is not Ellipsis})

    return change


def cut(name: str) -> Callable[[RunStore], object]:
    def change(store: RunStore) -> None:
        file = store.folder / "first" / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return change


DAMAGES: dict[str, Callable[[RunStore], object]] = {
    "brackets": wrote(b"[" * 100_000),
    "nested objects": wrote(b'{"a":' * 100_000),
    "empty": wrote(b""),
    "list": wrote(b"[]"),
    "null": wrote(b"null"),
    "not UTF-8": wrote(b'{"name": "\xff\xfe"}'),
    "huge": wrote(b'{"name": "' + b"x" * 2**21 + b'"}'),
    "created null": lambda store: set_info(store, created=None),
    "created a number": lambda store: set_info(store, created=5),
    "created no time": lambda store: set_info(store, created="yesterday"),
    "created without zone": lambda store: set_info(store, created="2025-01-01T00:00:00"),
    "name a list": lambda store: set_info(store, name=["x"]),
    "name too long": lambda store: set_info(store, name="x" * 2000),
    "no n_cells": with_metrics(n_cells=...),
    "n_cells a text": with_metrics(n_cells="many"),
    "n_cells negative": with_metrics(n_cells=-1),
    "n_cells true": with_metrics(n_cells=True),
    "n_cells a list": with_metrics(n_cells=[1]),
    "score a text": with_metrics(consistency="good"),
    "score null": with_metrics(consistency=None),
    "score NaN": replaced('"consistency": 0.8', '"consistency": NaN'),
    "score infinite": replaced('"consistency": 0.8', '"consistency": 1e999'),
    "score of 5,000 digits": replaced('"consistency": 0.8', f'"consistency": {"9" * 5000}'),
    "score of 400 digits": replaced('"consistency": 0.8', f'"consistency": {"9" * 400}'),
    "metrics a list": lambda store: set_info(store, metrics=[1]),
    "settings null": lambda store: set_info(store, settings=None),
    "settings a list": lambda store: set_info(store, settings=[{}]),
    "setting a text": replaced('"seed": 0', '"seed": "x"'),
    "setting infinite": replaced('"seed": 0', '"seed": 1e999'),
    "setting out of range": replaced('"seed": 0', '"seed": -5'),
    "section a text": lambda store: set_info(store, settings={"graph": "k"}),
    "versions a text": lambda store: set_info(store, versions="1"),
    "purpose unknown": lambda store: set_info(store, purpose="party"),
    "purpose a list": lambda store: set_info(store, purpose=["fit"]),
    "info gone": in_place_of_info(lambda file: None),
    "info a pipe": in_place_of_info(lambda file: os.mkfifo(file)),
    "info a folder": in_place_of_info(lambda file: file.mkdir()),
    "info a link": in_place_of_info(lambda file: file.symlink_to("/etc/hostname")),
    "info a link to itself": in_place_of_info(lambda file: file.symlink_to(file)),
    "metadata cut": cut(META),
    "checksums cut": cut(checksums.CHECKSUMS),
    "checksums gone": lambda store: (store.folder / "first" / checksums.CHECKSUMS).unlink(),
    "checksums nonsense": lambda store: (store.folder / "first" / checksums.CHECKSUMS).write_bytes(b"\xff" * 99),
    "metadata gone": lambda store: (store.folder / "first" / META).unlink(),
    "obs gone": lambda store: shutil.rmtree(store.folder / "first" / "result.zarr" / "obs"),
    "layers gone": lambda store: shutil.rmtree(store.folder / "first" / "result.zarr" / "layers"),
    "result gone": lambda store: shutil.rmtree(store.folder / "first" / "result.zarr"),
    "history gone": lambda store: (store.folder / "first" / "history.csv").unlink(),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_listed_as_that_and_can_be_deleted(store, damage):
    DAMAGES[damage](store)
    assert [info.run_id for info in store.list()] == ["second"]
    (found,) = store.damaged()
    assert found.run_id == "first"
    assert "first" in found.problem
    assert "\n" not in found.problem
    assert len(found.problem) < 500
    with pytest.raises(InputError) as error:
        store.open("first")
    assert str(error.value) == found.problem == store.verify("first")
    store.delete("first")
    assert store.damaged() == ()
    assert [path.name for path in store.folder.iterdir()] == ["second"]


def chunks_of(store: RunStore, layer: str = keys.VELOCITY) -> Path:
    return store.folder / "first" / "result.zarr" / "layers" / layer


def test_a_chunk_that_is_gone_is_said_and_never_drawn_as_nothing(store):
    run = store.open("first")
    run.gene(keys.MS, "Cpe")
    (chunks_of(store) / "0.0").unlink()
    with pytest.raises(InputError, match=r"run first cannot be read: .*layers/velocity/0\.0 is gone"):
        run.gene(keys.VELOCITY, "Cpe")
    with pytest.raises(InputError, match="velocity"):
        run.to_adata()
    lazy = run.part([keys.VELOCITY], on_disk=True).layers[keys.VELOCITY]
    with pytest.raises(InputError, match=r"0\.0 is gone"):
        lazy[:, :2]


def test_a_run_that_lacks_a_chunk_is_damaged_as_soon_as_it_is_opened_whole(store):
    assert store.open("first", whole=True).info.run_id == "first"
    (chunks_of(store) / "0.0").unlink()
    with pytest.raises(InputError, match=r"velocity/0\.0 is gone"):
        store.open("first", whole=True)
    assert [run.run_id for run in store.damaged()] == ["first"]
    assert [info.run_id for info in store.list()] == ["second"]


@pytest.mark.parametrize("content", [b"", b"x", None])
def test_a_chunk_that_is_not_what_was_saved_is_said(store, content):
    """None: one byte of many differs, and the chunk unpacks to other numbers."""
    file = chunks_of(store) / "0.0"
    was = file.read_bytes()
    file.write_bytes(was[:-1] + bytes([was[-1] ^ 1]) if content is None else content)
    with pytest.raises(InputError, match=r"velocity/0\.0 is not what was saved"):
        store.open("first").gene(keys.VELOCITY, "Cpe")
    assert "velocity/0.0" in store.verify("first")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/hostname")])
def test_a_chunk_that_is_no_file_is_said_at_once(store, make):
    (chunks_of(store) / "0.0").unlink()
    make(chunks_of(store) / "0.0")
    with pytest.raises(InputError, match=r"velocity/0\.0"):
        store.open("first").gene(keys.VELOCITY, "Cpe")
    assert "velocity/0.0" in store.verify("first")


def test_a_chunk_put_where_there_was_none_is_not_read(store, run_template):
    """Zarr leaves out chunks in which all is zero or NaN."""
    run = RunStore(run_template.parent).open(run_template.name)
    names = run._checksums
    assert f"result.zarr/layers/{keys.VELOCITY}/9.9" not in names
    (chunks_of(store) / "9.9").write_bytes(b"x")
    assert store.verify("first") is None  # a file more harms nothing
    assert np.isfinite(store.open("first", whole=True).gene(keys.VELOCITY, "Cpe")).all()


@pytest.mark.parametrize(
    "changes", [{"cluster_key": "nothing"}, {"basis": "nothing"}, {"metrics": {"n_cells": 41, "n_genes": 6}}]
)
def test_a_run_that_tells_of_another_result_is_damaged(store, changes):
    set_info(store, **changes)
    with pytest.raises(InputError, match="run first cannot be read"):
        store.open("first", whole=True)


def test_a_change_that_no_time_shows_is_seen(store):
    before = info_of(store).stat()
    assert len(store.list()) == 2
    text = info_of(store).read_text()
    info_of(store).write_text(text.replace('"name": "made up"', '"name": "renamed"'))
    os.utime(info_of(store), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.open("first").info.name == "renamed"


FUTURES = {
    "format": {"format": 2},
    "format a text": {"format": "b"},
    "field": {"mood": "good", "versions": {"deepvelo-explorer": "99.0.1"}},
    "setting": {"settings": {"graph": {"mood": 1}}, "versions": {"deepvelo-explorer": "99.0.1"}},
    "value": {"settings": {"method": "quantum"}, "versions": {"deepvelo-explorer": "99.0.1"}},
}


@pytest.mark.parametrize("future", FUTURES)
def test_a_run_of_another_version_is_refused_with_both_versions(store, future):
    set_info(store, **({"versions": {"deepvelo-explorer": "99.0.1"}} | FUTURES[future]))
    with pytest.raises(InputError, match=r"first was saved by version 99\.0\.1 .*Update") as error:
        store.open("first")
    assert version("deepvelo-explorer") in str(error.value)
    assert [run.run_id for run in store.damaged()] == ["first"]


def test_a_run_of_a_newer_version_that_changed_nothing_opens(store):
    set_info(store, versions={"deepvelo-explorer": "99.0.1"})
    assert store.open("first", whole=True).info.versions == {"deepvelo-explorer": "99.0.1"}


def test_folders_that_are_no_runs_are_no_damaged_runs_and_not_deleted(store):
    for name in ("notes", "data"):
        (store.folder / name).mkdir()
        (store.folder / name / "thesis.txt").write_text("mine")
    (store.folder / "file").write_text("a file")
    assert store.damaged() == ()
    for name in ("notes", "data", "file"):
        with pytest.raises(InputError, match="There is no run"):
            store.delete(name)
    assert (store.folder / "notes" / "thesis.txt").is_file()


def test_a_run_of_another_user_is_said_and_stays(store, monkeypatch):
    """Who tests may be root, who may do all."""
    folder, opened, access = store.folder / "first", os.open, os.access

    def refused(path: object, *args: object, **options: object) -> int:
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", refused)
    monkeypatch.setattr(os, "access", lambda path, how: Path(path) != folder and access(path, how))
    assert [info.run_id for info in store.list()] == ["second"]
    assert "may not be read" in store.damaged()[0].problem
    with pytest.raises(InputError, match="first may not be deleted"):
        store.delete("first")
    assert folder.is_dir()


def test_of_two_who_delete_a_run_the_second_hears_that_it_is_gone(store, monkeypatch):
    other, rename = RunStore(store.folder), Path.rename

    def overtaken(path: Path, target: Path) -> Path:
        if path.name == "first":
            monkeypatch.undo()
            other.delete("first")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    with pytest.raises(InputError, match="There is no run 'first'"):
        store.delete("first")
    assert [path.name for path in store.folder.iterdir()] == ["second"]


def test_names_in_other_letters_are_other_runs(store, monkeypatch):
    """As on a disk where upper and lower case are one."""
    (store.folder / "FIRST").symlink_to(store.folder / "first")
    names = ["first", "second"]
    monkeypatch.setattr(os, "listdir", lambda folder: names)
    assert not store.exists("FIRST")
    with pytest.raises(InputError, match="There is no run"):
        store.open("FIRST")


def test_a_store_that_cannot_be_read_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    store = RunStore(tmp_path / "file" / "runs")
    assert store.list() == []
    assert "Not a directory" in store.problem()
    assert RunStore(tmp_path / "later").problem() is None
    assert RunStore(tmp_path).problem() is None
