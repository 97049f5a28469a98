"""Saved selections: whole or not there, readable beside damaged ones, one a name."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from deepvelo.selections import checked_file, store

CELLS = [f"AAACCTGAGAAAC{i:03d}-1" for i in range(300)]


@pytest.fixture
def run(tmp_path, made_up_run):
    """Folder of a stored run."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder / made_up_run(folder)


def names_in(run):
    return [saved.name for saved in store.stored(run).selections]


def file_of(run, saved):
    return run / store.FOLDER / f"{saved.selection_id}.cells"


def rewrite(path, **changes):
    """Change the description in a file, with a checksum that fits."""
    line, _, packed = path.read_bytes().partition(b"\n")
    values = json.dumps(json.loads(line[33:]) | changes).encode()
    path.write_bytes(checked_file._checksum(values).encode() + b" " + values + b"\n" + packed)


def test_what_is_saved_is_loaded(run):
    saved = store.save(run, "tip", CELLS, owner="anna", owner_name="anna@lab")
    found, cells = store.load(run, saved.selection_id)
    assert cells == CELLS
    assert found == saved == store.find(run, "tip")
    assert (found.n_cells, found.owner, found.owner_name) == (300, "anna", "anna@lab")
    assert store.stored(run) == store.SavedSelections([saved], [])
    assert file_of(run, saved).stat().st_size < 5 * len(CELLS)


def test_nothing_is_there_before_it_is_saved(run):
    assert store.stored(run) == store.SavedSelections([], [])
    assert store.stored(run.with_name("nowhere")) == store.SavedSelections([], [])
    assert store.find(run, "tip") is None


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b\\c", "Größe µ 细胞 🧬", "CON", ".", "x" * 200, "a\nb", "\u202eabc", "\ud800", "<b>&", "%00", "'\"", "\0"],
)  # fmt: skip
def test_any_name_is_kept_and_found(run, name):
    saved = store.save(run, f"  {name} ", ["cell", "\ud800 \n"])
    assert saved.name == name
    assert store.find(run, name) == saved
    assert store.load(run, saved.selection_id)[1] == ["cell", "\ud800 \n"]
    assert saved.label.isprintable() or name == "\u202eabc"
    assert [path.name for path in (run / store.FOLDER).iterdir()] == [f"{saved.selection_id}.cells"]


def test_names_that_look_the_same_are_the_same(run):
    store.save(run, "é", CELLS[:1])
    store.save(run, "e\u0301", CELLS[:2])
    assert [saved.n_cells for saved in store.stored(run).selections] == [2]
    assert store.find(run, "e\u0301") is not None
    store.save(run, "É", CELLS)
    assert len(names_in(run)) == 2


@pytest.mark.parametrize(("name", "message"), [(" \n", "has no name"), ("x" * 201, "has 201 characters")])
def test_a_name_that_is_none_is_refused(run, name, message):
    with pytest.raises(InputError, match=message):
        store.save(run, name, CELLS)
    assert not (run / store.FOLDER).exists()


def test_no_cell_is_not_saved_and_one_is(run):
    with pytest.raises(InputError, match=r"No cell is selected.*Select cells first"):
        store.save(run, "none", [])
    assert store.save(run, "one", CELLS[:1] * 2).n_cells == 1


def test_the_owner_replaces_a_selection_and_another_visitor_is_refused(run):
    first = store.save(run, "tip", CELLS, owner="anna", owner_name="anna@lab")
    with pytest.raises(
        InputError, match=r"a selection 'tip' already, saved by anna@lab\. Choose another name"
    ):
        store.save(run, "tip", CELLS[:5], owner="ben")
    second = store.save(run, "tip", CELLS[:7], owner="anna")
    assert store.stored(run).selections == [second]
    with pytest.raises(InputError, match=r"was deleted or replaced\. Choose another"):
        store.load(run, first.selection_id)


def test_an_unknown_owner_owns_nothing(run):
    store.save(run, "tip", CELLS)
    assert store.save(run, "tip", CELLS[:5], owner="ben").n_cells == 5
    with pytest.raises(InputError, match="saved by another visitor"):
        store.save(run, "tip", CELLS)


def test_a_deleted_selection_is_gone_and_may_be_deleted_again(run):
    saved = store.save(run, "tip", CELLS)
    store.delete(run, saved.selection_id)
    store.delete(run, saved.selection_id)
    assert store.stored(run) == store.SavedSelections([], [])


@pytest.mark.parametrize("selection_id", ["../info", "", "x" * 16, "0" * 15, "/etc/passwd"])
def test_ids_from_addresses_lead_nowhere(run, selection_id):
    with pytest.raises(InputError, match="deleted or replaced"):
        store.load(run, selection_id)
    store.delete(run, selection_id)
    assert (run / "info.json").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0" * 500),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"tip"', b'"top"')),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: rewrite(path, n_cells="many"),
        lambda path: rewrite(path, colour="red"),
    ],
)
def test_a_damaged_description_is_named_and_the_others_stay_readable(run, damage):
    saved, other = (store.save(run, name, CELLS) for name in ("tip", "root"))
    damage(file_of(run, saved))
    listing = store.stored(run)
    assert listing.selections == [other]
    assert len(listing.problems) == 1
    assert "is damaged: " in listing.problems[0]
    assert f"Delete {file_of(run, saved)}" in listing.problems[0]
    with pytest.raises(InputError, match="is damaged"):
        store.load(run, saved.selection_id)


@pytest.mark.parametrize("cut", [-1, -30, slice(None)])
def test_damaged_cells_are_found_when_they_are_read(run, cut):
    saved, other = (store.save(run, name, CELLS) for name in ("tip", "root"))
    content = file_of(run, saved).read_bytes()
    file_of(run, saved).write_bytes(
        content[:cut] if isinstance(cut, int) else content[:-5] + b"x" + content[-4:]
    )
    with pytest.raises(InputError, match=r"'tip' is damaged: its cells are not what was saved"):
        store.load(run, saved.selection_id)
    assert store.load(run, other.selection_id)[1] == CELLS


def test_a_selection_of_a_newer_version_says_so(run):
    saved, other = (store.save(run, name, CELLS) for name in ("tip", "root"))
    rewrite(file_of(run, saved), format=2, shape="cloud")
    listing = store.stored(run)
    assert listing.selections == [other]
    assert listing.problems == [
        "The saved selection 'tip' was saved in format 2 by a newer version of DeepVelo Explorer, and this version "
        "reads format 1. Update DeepVelo Explorer to open it."
    ]


def test_a_deleted_run_takes_its_selections_along_and_stays_deleted(run):
    saved = store.save(run, "tip", CELLS)
    RunStore(run.parent).delete(run.name)
    for change in (
        lambda: store.save(run, "tip", CELLS),
        lambda: store.delete(run, saved.selection_id),
    ):
        with pytest.raises(InputError, match=rf"no run '{run.name}' any more"):
            change()
    assert not run.exists()


def test_selections_leave_the_run_whole(run):
    store.save(run, "tip", CELLS)
    runs = RunStore(run.parent)
    assert runs.verify(run.name) is None
    assert runs.open(run.name, whole=True).obs.shape[0] == 40


def test_what_is_no_selection_is_left_alone(run):
    store.save(run, "tip", CELLS)
    (run / store.FOLDER / "notes.txt").write_text("mine")
    assert names_in(run) == ["tip"]
    assert store.stored(run).problems == []


def test_a_full_disk_leaves_the_earlier_selection_and_nothing_else(run, monkeypatch):
    saved = store.save(run, "tip", CELLS)

    def full(path, content):
        path.open("wb").write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"no space is left on the disk.*make room") as error:
        store.save(run, "tip", CELLS[:5])
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    assert store.stored(run) == store.SavedSelections([saved], [])
    assert len(list((run / store.FOLDER).iterdir())) == 1


def test_a_selection_that_a_killed_process_was_replacing_is_shown_once(run):
    first = store.save(run, "tip", CELLS)
    earlier = file_of(run, first).read_bytes()
    second = store.save(run, "tip", CELLS[:5])
    file_of(run, first).write_bytes(earlier)
    assert store.stored(run).selections == [second]


def test_five_hundred_selections_are_listed_fast(run):
    for i in range(500):
        packed = zlib.compress(json.dumps(CELLS).encode())
        (run / store.FOLDER).mkdir(exist_ok=True)
        saved = store.SavedSelection(
            selection_id=f"{i:016x}", name=f"selection {i}", n_cells=len(CELLS), created=datetime.now(UTC)
        )  # fmt: skip
        store._write(run / store.FOLDER, saved, packed)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(store.stored(run).selections) == 500
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.2


def save_many(run, owner, barrier, told):
    """Save one name and several others, as soon as the other process does."""
    barrier.wait()
    for i in range(20):
        try:
            store.save(run, "same", CELLS[: i + 1], owner=owner)
            told.put((owner, "saved"))
        except InputError as error:
            told.put((owner, str(error)))
        store.save(run, f"{owner} {i}", CELLS[:3], owner=owner)


def test_two_processes_that_save_at_once_lose_nothing(run):
    context = multiprocessing.get_context("fork")
    barrier, told = context.Barrier(2), context.Queue()
    both = [context.Process(target=save_many, args=(run, owner, barrier, told)) for owner in ("anna", "ben")]
    for process in both:
        process.start()
    answers = [told.get(timeout=60) for _ in range(40)]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    listing = store.stored(run)
    assert listing.problems == []
    assert sorted(saved.name for saved in listing.selections) == sorted(
        ["same", *(f"{owner} {i}" for owner in ("anna", "ben") for i in range(20))]
    )
    winner = store.find(run, "same")
    assert winner.n_cells == 20
    for owner, answer in answers:
        assert (answer == "saved") == (owner == winner.owner)
        assert answer == "saved" or "saved by another visitor. Choose another name" in answer
    assert len(list((run / store.FOLDER).glob("*.cells"))) == 41
