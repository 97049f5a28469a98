"""What killed processes leave behind goes, what living ones are at work on stays, whatever the clock says."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepvelo.io import journal, write
from deepvelo.io.runs import RunStore
from deepvelo.io.write import scratch_beside

LONG = write.LEFTOVER_AGE + 60


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "runs")


def aged(path: Path, *, seconds: float = LONG) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def in_another_process(code: str, *arguments: object) -> None:
    """Run some code in a process that is killed, not ended, when it has printed a line."""
    code = f"import os, sys\nfrom pathlib import Path\n{code}\nprint(flush=True)\nos.kill(os.getpid(), 9)"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr.decode()


def test_scratch_of_a_living_fit_stays_when_the_clock_jumps(store):
    with store.scratch() as at_work:
        aged(at_work)
        with store.scratch():
            pass
        assert at_work.is_dir()
    assert list(store.folder.iterdir()) == []


@pytest.mark.slow
def test_scratch_of_a_killed_fit_goes_with_the_next(store):
    in_another_process(
        "from deepvelo.io.write import new_folder, token\n"
        "folder = Path(sys.argv[1]) / f'.saving-{token()}'\n"
        "folder.parent.mkdir()\nopened = new_folder(folder)\nopened.__enter__()\n(folder / 'layer').write_text('x')",
        store.folder,
    )
    (left,) = store.folder.iterdir()
    with store.scratch():
        assert not left.exists()


@pytest.mark.slow
def test_an_output_of_a_killed_command_goes_with_the_next(tmp_path):
    in_another_process(
        "from deepvelo.io.write import scratch_beside, write_text\n"
        "def die(*_): print(flush=True); os.kill(os.getpid(), 9)\n"
        "Path.replace = die\n"
        "opened = scratch_beside(Path(sys.argv[1]) / 'a.h5ad')\nopened.__enter__()\n"
        "write_text('half', Path(sys.argv[1]) / 'a.json')",
        tmp_path,
    )
    assert len(list(tmp_path.iterdir())) == 2
    with scratch_beside(tmp_path / "b.h5ad") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_what_another_machine_is_at_work_on_goes_by_its_age(store, monkeypatch):
    store.folder.mkdir()
    young, old = (store.folder / f".saving-{name}-00000000" for name in ("young", "old"))
    for folder in (young, old):
        folder.mkdir()
    aged(old)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # the clock of the disk counts, not this machine's
    with store.scratch():
        assert young.is_dir()
        assert not old.exists()


def test_on_a_disk_without_locks_age_decides(store, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with store.scratch() as at_work, store.scratch():
        assert at_work.is_dir()
        aged(at_work)
        with store.scratch():
            assert not at_work.exists()


def test_a_half_deleted_run_goes_at_once(store):
    left = store.folder / ".deleted-run-abc"
    (left / "result.zarr").mkdir(parents=True)
    with store.scratch():
        assert not left.exists()


def test_a_checkpoint_stays_while_a_job_may_go_on_from_it(store, monkeypatch):
    store.folder.mkdir()
    for fit in ("wanted", "unwanted"):
        store.checkpoint(fit).write_bytes(b"half a training")
        aged(store.checkpoint(fit))
    monkeypatch.setattr(journal, "fits_under_way", lambda folder: {"wanted"})
    with store.scratch():
        assert store.checkpoint("wanted").exists()
        assert not store.checkpoint("unwanted").exists()


def test_what_is_taken_for_a_leftover_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    folder, flock, tries = tmp_path / f"new-{write.token()}", fcntl.flock, []

    def too_late(file: int, how: int) -> None:
        tries.append(file)
        if len(tries) == 1:
            folder.rmdir()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with write.new_folder(folder):
        assert folder.is_dir()
    assert len(tries) == 2


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/")])
def test_a_pipe_or_a_link_in_the_store_stops_nobody(store, make):
    store.folder.mkdir()
    make(store.folder / f".saving-{write.token()}")
    with store.scratch() as folder:
        assert folder.is_dir()
