from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from deepvelo.errors import CancelledError, InputError
from deepvelo.io import journal as module
from deepvelo.io.journal import FOLDER, Journal, fits_under_way

REQUEST = {"name": "näme \udcff"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def known(journal: Journal) -> dict[str, list[str]]:
    """What happened to each job the server looks after, but for who took it over."""
    return {
        entry.job_id: [event["event"] for event in entry.events if event["event"] != "taken over"]
        for entry in journal.entries()
    }


def test_what_was_asked_for_and_what_happened_is_known_to_the_next_server(store):
    first = Journal(store)
    for job_id in ("b", "a"):
        first.add(job_id, REQUEST)
    first.tell("a", event="started", worker="w")
    first.tell("a", event="failed", message="No. \udcff")
    first.close()
    later = Journal(store)
    assert later.entries() == []
    later.take_over()
    assert known(later) == {"a": ["started", "failed"], "b": []}
    failed, waiting = later.entries()
    assert (failed.ended, waiting.ended) == (True, False)
    assert waiting.request == REQUEST
    assert failed.events[1]["message"] == "No. \udcff"
    later.remove("a")
    assert known(later) == {"b": []}


def test_jobs_of_a_living_server_stay_with_it(store):
    living, other = Journal(store), Journal(store)
    living.add("a", REQUEST)
    other.add("b", REQUEST)
    for journal in (living, other, third := Journal(store)):
        journal.take_over()
    assert [known(journal) for journal in (living, other, third)] == [{"a": []}, {"b": []}, {}]
    living.close()
    third.take_over()
    assert [known(journal) for journal in (other, third)] == [{"b": []}, {"a": []}]


def test_servers_of_one_scheduler_look_after_its_jobs_together(store):
    one, two, other = (Journal(store, address) for address in ("tcp://lab:1", "tcp://lab:1", "tcp://lab:2"))
    one.add("a", REQUEST)
    one.close()
    for journal in (two, other, local := Journal(store)):
        journal.take_over()
    assert [known(journal) for journal in (one, two, other, local)] == [{"a": []}, {"a": []}, {}, {}]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_line_cut_by_a_power_failure_costs_only_itself(store, cut):
    journal = Journal(store)
    journal.add("a", REQUEST)
    journal.tell("a", event="started", worker="w")
    path = store / FOLDER / "a.jsonl"
    whole = path.read_bytes()
    journal.tell("a", event="checkpoint", epoch=3)
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    journal.tell("a", event="finished", run_id="r")
    assert known(journal) == {"a": ["started", "finished"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\0" * 100, b"[" * 100_000, b"{}", b"null", b'{"server": "own-1"}', b'{"server": 1, "request": 2}',
     b'{"server": "own-1", "request": {}', b'{"server": "x", "request": {}}', b"\xff\xfe", b"9" * 5000, b"x" * (2**20 + 5)],
)  # fmt: skip
def test_a_damaged_entry_is_known_as_such_and_harms_no_other(store, content):
    journal = Journal(store)
    journal.add("a", REQUEST)
    (store / FOLDER / "b.jsonl").write_bytes(content)
    journal.take_over()
    assert [(entry.job_id, entry.request is None) for entry in journal.entries()] == [
        ("a", False),
        ("b", True),
    ]
    journal.remove("b")
    assert set(known(journal)) == {"a"}


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, "1", "null", '{"event": "started"}', '{"event": 1, "time": 1}', '{"event": "x", "time": "now"}',
     '{"event": "started", "time": 1, "worker": 5}', '{"event": "checkpoint", "time": 1, "epoch": "x"}'],
)  # fmt: skip
def test_a_damaged_line_is_skipped(store, line):
    journal = Journal(store)
    journal.add("a", REQUEST)
    with (store / FOLDER / "a.jsonl").open("a") as file:
        file.write(f"{line}\n")
    journal.tell("a", event="finished", run_id="r")
    assert known(journal) == {"a": ["finished"]}


def test_what_is_no_entry_is_left_alone(store):
    journal = Journal(store)
    journal.add("a", REQUEST)
    folder = store / FOLDER
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "note.txt").write_text("mine")
    (folder / "..b.jsonl").write_text("")
    assert set(known(journal)) == {"a"}
    assert (folder / "note.txt").exists()


def test_a_job_that_was_let_go_does_not_come_back(store):
    journal = Journal(store)
    journal.tell("a", event="started")
    journal.add("a", REQUEST)
    journal.remove("a")
    journal.tell("a", event="finished", run_id="r")
    assert journal.entries() == []


@pytest.mark.parametrize("where", ["replace", "fsync"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(store, monkeypatch, where):
    journal = Journal(store)
    journal.add("a", REQUEST)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(*{"replace": (Path, "replace"), "fsync": (os, "fsync")}[where], full)
        with pytest.raises(InputError, match=r"not started.*No space left.*Free disk space"):
            journal.add("b", REQUEST)
        journal.tell("a", event="started", worker="w")  # stops no job
    assert set(known(journal)) == {"a"}
    assert not [path for path in (store / FOLDER).iterdir() if path.name.endswith(".part")]


def test_a_store_that_is_no_folder_is_a_sentence(tmp_path):
    (tmp_path / "runs").write_text("")
    journal = Journal(tmp_path / "runs")
    journal.take_over()
    with journal.alone(), pytest.raises(InputError, match="not writable"):
        journal.add("a", REQUEST)


def test_a_file_system_without_locks_serves_one_server(store, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(module.FileLock, "acquire", refuse)
    first, later = Journal(store), Journal(store)
    with first.alone():
        first.add("a", REQUEST)
    with first.at_work("a", cancelled=lambda: False):
        later.take_over()
    assert known(later) == {"a": []}


def test_two_workers_never_do_the_same_job(store, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    Journal(store).add("a", REQUEST)
    order, begun, cancel = [], threading.Event(), threading.Event()

    def second() -> None:
        try:
            with Journal(store).at_work("a", cancelled=cancel.is_set):
                order.append("second")
        except CancelledError:
            order.append("cancelled")

    for ending in ("end", "cancel"):
        with Journal(store).at_work("a", cancelled=lambda: False):
            thread = threading.Thread(target=second)
            thread.start()
            assert not begun.wait(0.1)
            if ending == "cancel":
                cancel.set()
                thread.join(10)
            order.append(f"first, {ending}")
        thread.join(10)
    assert order == ["first, end", "second", "cancelled", "first, cancel"]


def test_checkpoints_of_jobs_that_have_not_ended_are_needed(store):
    journal = Journal(store)
    for job_id in ("a", "b"):
        journal.add(job_id, REQUEST)
        journal.tell(job_id, event="fit", fit=f"hash of {job_id}")
    journal.tell("a", event="finished", run_id="r")
    assert fits_under_way(store) == {"hash of b"}
    assert fits_under_way(store / "nowhere") == set()
