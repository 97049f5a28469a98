"""Groupings beside the runs of a data set: whole or not there, undoable, lost by nobody."""

from __future__ import annotations

import multiprocessing
import os
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from deepvelo.io.write import write_h5ad
from deepvelo.selections import grouping_store
from deepvelo.selections.grouping_store import GroupingStore, SavedGroupings
from deepvelo.selections.groupings import Grouping

CELLS = pd.Index([f"cell{i}" for i in range(40)])
HASH = "0" * 32


@pytest.fixture
def store(tmp_path):
    return GroupingStore(tmp_path, HASH)


@pytest.fixture
def saved(store):
    return store.create("mine", Grouping.empty(CELLS).assign(CELLS[:5], "tip"), owner="anna")


def sizes(store, saved):
    return store.load(saved.grouping_id)[1].sizes


def file_of(tmp_path, saved):
    return tmp_path / ".groupings" / HASH / f"{saved.grouping_id}.groups"


def test_what_is_stored_is_loaded(store, saved, tmp_path):
    found, grouping = store.load(saved.grouping_id)
    assert found == saved
    assert (found.name, found.owner, found.last_change) == ("mine", "anna", "")
    assert grouping.column(CELLS[3:7]).tolist() == ["tip", "tip", np.nan, np.nan]
    assert store.stored() == SavedGroupings([saved], [])
    assert GroupingStore(tmp_path, "1" * 32).stored() == SavedGroupings([], [])


def test_every_change_gives_another_stamp(store):
    stamps = [store.stamp]
    saved = store.create("mine", Grouping.empty(CELLS).assign(CELLS[:5], "tip"))
    stamps.append(store.stamp)
    for change in (
        lambda: store.change(saved.grouping_id, lambda it: it.hide("tip"), what="Hid"),
        lambda: store.undo(saved.grouping_id),
        lambda: store.rename(saved.grouping_id, "yours"),
        lambda: store.delete(saved.grouping_id),
    ):
        time.sleep(0.02)  # longer than a tick of the clock of a file system
        change()
        stamps.append(store.stamp)
    assert stamps[0] == 0
    assert len(set(stamps)) == 6


def test_a_run_store_with_groupings_lists_its_runs_alone(tmp_path, made_up_run):
    run_id = made_up_run(tmp_path)
    run = RunStore(tmp_path).open(run_id)
    store = GroupingStore(tmp_path, run.info.data_hash)
    saved = store.create(
        "mine", Grouping.from_column(run.obs["clusters"], run.uns_colors("clusters")), taken=run.obs.columns
    )
    assert saved.groups[0].color == "#3ba458"
    assert store.load(saved.grouping_id)[1].column(run.obs.index).tolist() == run.obs["clusters"].tolist()
    assert [info.run_id for info in RunStore(tmp_path).list()] == [run_id]
    RunStore(tmp_path).delete(run_id)
    assert store.stored().groupings == [saved]  # of the data, not of the run


def test_changes_are_undone_one_by_one(store, saved):
    steps = [
        ("New group root", lambda it: it.assign(CELLS[5:7], "root")),
        ("Renamed tip", lambda it: it.rename("tip", "end")),
        ("Removed root", lambda it: it.remove("root")),
    ]
    for what, edit in steps:
        assert store.change(saved.grouping_id, edit, what=what).last_change == what
    seen = []
    while (last := store.stored().groupings[0]).last_change:
        seen.append((last.last_change, sizes(store, saved)))
        store.undo(saved.grouping_id)
    assert seen == [
        ("Removed root", {"end": 5}),
        ("Renamed tip", {"end": 5, "root": 2}),
        ("New group root", {"tip": 5, "root": 2}),
    ]
    assert sizes(store, saved) == {"tip": 5}
    with pytest.raises(InputError, match=r"'mine' has no change that could be undone"):
        store.undo(saved.grouping_id)


def test_the_last_twenty_changes_are_kept(store, saved):
    for i in range(25):
        store.change(saved.grouping_id, lambda it, i=i: it.assign([f"new{i}"], "tip"), what=str(i))
    assert sizes(store, saved) == {"tip": 30}
    for _ in range(20):
        store.undo(saved.grouping_id)
    assert sizes(store, saved) == {"tip": 10}
    with pytest.raises(InputError, match="no change"):
        store.undo(saved.grouping_id)


def test_a_change_that_is_refused_leaves_the_grouping(store, saved):
    with pytest.raises(InputError, match="no group 'w'"):
        store.change(saved.grouping_id, lambda it: it.remove("w"), what="")
    assert store.stored().groupings == [saved]


def test_names_are_those_of_no_column_and_no_other_grouping(store, saved):
    empty = Grouping.empty(CELLS)
    with pytest.raises(InputError, match=r"data have a column 'clusters' already\. Choose another name"):
        store.create(" clusters", empty, taken=["clusters"])
    with pytest.raises(InputError, match=r"a grouping 'mine' of these data already\. Choose another"):
        store.create("mine", empty)
    with pytest.raises(InputError, match="grouping has no name"):
        store.create(" ", empty)
    other = store.create("../é/🧬\n", empty)
    with pytest.raises(InputError, match="'mine' of these data"):
        store.rename(other.grouping_id, "mine")
    with pytest.raises(InputError, match="column 'clusters'"):
        store.rename(other.grouping_id, "clusters", taken=["clusters"])
    renamed = store.rename(other.grouping_id, "theirs", taken=["clusters"])
    assert (renamed.grouping_id, renamed.name) == (other.grouping_id, "theirs")
    assert [one.name for one in store.stored().groupings] == ["mine", "theirs"]


def test_a_deleted_grouping_is_gone(store, saved):
    store.delete(saved.grouping_id)
    store.delete(saved.grouping_id)
    store.delete("../../x")
    for ask in (store.load, store.undo):
        with pytest.raises(InputError, match=r"This grouping was deleted\. Choose another"):
            ask(saved.grouping_id)


@pytest.mark.parametrize("data_hash", ["../../outside", "", "x" * 1000, "A" * 32])
def test_a_hash_that_is_none_stays_inside(tmp_path, data_hash):
    runs = tmp_path / "runs"
    store = GroupingStore(runs, data_hash)
    saved = store.create("mine", Grouping.empty(CELLS))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert len(list((runs / ".groupings").glob("*/*.groups"))) == 1
    assert GroupingStore(runs, data_hash).stored().groupings == [saved]


@pytest.mark.parametrize("cut", [0, 20, 200, -1])
def test_a_damaged_grouping_is_named_and_the_others_stay_readable(store, saved, tmp_path, cut):
    other = store.create("other", Grouping.empty(CELLS))
    path = file_of(tmp_path, saved)
    path.write_bytes(path.read_bytes()[:cut])
    listing = store.stored()
    assert other in listing.groupings
    if cut > -1:
        assert listing.groupings == [other]
        assert "is damaged" in listing.problems[0]
    for ask in (store.load, store.undo, lambda i: store.change(i, lambda it: it, what="")):
        with pytest.raises(InputError, match=r"saved grouping .* is damaged: .*Delete "):
            ask(saved.grouping_id)
    store.delete(saved.grouping_id)
    assert store.stored() == SavedGroupings([other], [])


def test_groupings_are_added_to_an_object_with_their_colors(store, saved, tmp_path):
    store.create("batch", Grouping.empty(CELLS))
    adata = ad.AnnData(np.ones((3, 2)), obs=pd.DataFrame({"batch": 1}, index=["cell9", "cell4", "other"]))
    notes = store.add_to(adata)
    assert adata.obs["mine"].tolist() == [np.nan, "tip", np.nan]
    assert list(adata.uns["mine_colors"]) == ["#0072b2"]
    assert notes == [
        "The grouping 'batch' was left out, because a column of obs has its name. Rename the grouping."
    ]
    write_h5ad(adata, tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert list(back.obs["mine"].cat.categories) == ["tip"]
    file_of(tmp_path, saved).write_bytes(b"")
    assert any("is damaged" in note for note in store.add_to(adata[:, :1].copy()))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_may_not_be_written_is_one_sentence(store, saved, tmp_path):
    folder = file_of(tmp_path, saved).parent
    folder.chmod(0o555)
    try:
        with pytest.raises(InputError, match="permission denied"):
            store.undo(saved.grouping_id)
    finally:
        folder.chmod(0o755)


def test_a_change_of_many_cells_takes_little_time_and_space(store, tmp_path):
    cells = pd.Index([f"AAACCTGAG{i:07d}-1" for i in range(100_000)])
    saved = store.create("big", Grouping.empty(cells))
    seconds = []
    for i in range(5):
        start = time.perf_counter()
        store.change(saved.grouping_id, lambda it, i=i: it.assign(cells[i :: i + 2], str(i)), what="")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1
    assert file_of(tmp_path, saved).stat().st_size < 2_000_000


def change_many(folder, letter, barrier):
    barrier.wait()
    store = GroupingStore(folder, HASH)
    found = store.stored().groupings[0]
    for i in range(8):
        store.change(found.grouping_id, lambda it, i=i: it.assign([f"cell{i}"], f"{letter}{i}"), what="")


def test_two_processes_that_change_one_grouping_lose_nothing(store, saved, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    both = [context.Process(target=change_many, args=(tmp_path, letter, barrier)) for letter in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    grouping = store.load(saved.grouping_id)[1]
    assert set(grouping.names) == {"tip", *(f"{letter}{i}" for letter in "ab" for i in range(8))}
    assert sum(grouping.sizes.values()) == 8
    assert grouping_store.MOST_CHANGES >= 16  # so that all could be undone
