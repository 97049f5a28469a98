"""Analyses beside their run: whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from deepvelo.io.write import LEFTOVER_AGE
from deepvelo.lineages import Lineages, load, save, stored
from deepvelo.lineages.settings import key_of
from deepvelo.lineages.store import FOLDER
from tests.branched import SETTINGS, analysed

TABLES = ("cells", "edges", "drivers")


@pytest.fixture
def run(tmp_path, made_up_run):
    """Folder of a stored run."""
    store = tmp_path / "runs"
    store.mkdir()
    return store / made_up_run(store)


def place_of(run, settings=SETTINGS):
    return run / FOLDER / key_of(settings)


def left_in(run):
    """What lies in the folder of analyses, hidden or not."""
    return sorted(path.name for path in (run / FOLDER).iterdir())


def other(**changes):
    return replace(analysed(), settings=replace(SETTINGS, **changes))


def assert_same(found, expected):
    assert found is not None
    for name in Lineages.__dataclass_fields__:
        if name in TABLES:
            pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), check_names=False)
        else:
            assert getattr(found, name) == getattr(expected, name), name


def test_what_is_saved_is_loaded_to_the_last_digit(run):
    noted = replace(analysed(), warnings=("Größe − unknown.", "Second."))
    save(noted, run)
    found = load(run, SETTINGS)
    assert_same(found, noted)
    assert found.lineages == ["Tip A", "Tip B"]
    assert stored(run) == [SETTINGS]


def test_a_table_without_rows_and_cells_without_fate_come_back(run):
    cells = analysed().cells.copy()
    cells.iloc[:5, [0, 1, 4, 5]] = np.nan
    bare = replace(analysed(), cells=cells, edges=analysed().edges.iloc[:0], last_groups=())
    save(bare, run)
    found = load(run, SETTINGS)
    assert found.last_groups == ()
    assert found.fates.isna().sum().tolist() == [5, 5]
    assert list(found.edges) == list(analysed().edges)
    assert found.edges.empty


@pytest.mark.parametrize(("table", "column"), [("cells", "part"), ("edges", "source_cells")])
def test_an_analysis_that_lacks_a_column_is_none(run, table, column):
    save(replace(analysed(), **{table: getattr(analysed(), table).drop(columns=column)}), run)
    assert load(run, SETTINGS) is None
    assert stored(run) == []


def test_nothing_is_there_before_it_is_saved(run):
    assert load(run, SETTINGS) is None
    assert stored(run) == []
    assert stored(run.with_name("nowhere")) == []
    assert load(run.with_name("nowhere"), SETTINGS) is None


def test_the_newest_comes_first_and_other_settings_lie_beside_it(run):
    for changes in ({}, {"seed": 1}, {"root": "Root"}):
        save(other(**changes), run)
    assert stored(run) == [replace(SETTINGS, root="Root"), replace(SETTINGS, seed=1), SETTINGS]
    assert load(run, replace(SETTINGS, seed=1)).settings.seed == 1
    assert load(run, replace(SETTINGS, seed=2)) is None


def test_the_same_settings_replace_the_analysis(run):
    save(analysed(), run)
    save(other(seed=1), run)
    save(replace(analysed(), root="Early A"), run)
    assert load(run, SETTINGS).root == "Early A"
    assert stored(run) == [SETTINGS, replace(SETTINGS, seed=1)]
    assert len(left_in(run)) == 2


@pytest.mark.parametrize("part", ["info.json", *(f"{name}.parquet" for name in TABLES)])
@pytest.mark.parametrize("damage", ["cut", "gone", "nonsense"])
def test_what_cannot_be_read_is_neither_listed_nor_loaded(run, part, damage):
    save(analysed(), run)
    save(other(seed=1), run)
    file = place_of(run) / part
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"[1]")
    assert load(run, SETTINGS) is None
    assert stored(run) == [replace(SETTINGS, seed=1)]
    save(analysed(), run)  # and can be made anew
    assert_same(load(run, SETTINGS), analysed())


@pytest.mark.parametrize("settings", [{"cluster_key": "clusters", "n_states": 0}, {"new": 1}, [], None])
def test_settings_of_another_version_are_left_out(run, settings):
    save(analysed(), run)
    file = place_of(run) / "info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"settings": settings}))
    assert stored(run) == []
    assert load(run, SETTINGS) is None


def test_what_lies_under_another_name_is_not_listed_since_it_is_not_found(run):
    save(analysed(), run)
    place_of(run).rename(place_of(run, replace(SETTINGS, seed=3)))
    assert stored(run) == []


def test_a_run_deleted_meanwhile_stays_deleted(run):
    store = RunStore(run.parent)
    store.delete(run.name)
    with pytest.raises(InputError, match=rf"no run '{run.name}' any more, so its lineages are not saved"):
        save(analysed(), run)
    assert not run.exists()


def test_a_run_deleted_while_tables_are_written_stays_deleted(run, monkeypatch):
    real = pd.DataFrame.to_parquet

    def delete_first(frame, path, *args, **options):
        if path.name == "drivers.parquet":
            shutil.rmtree(run)
        real(frame, path, *args, **options)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", delete_first)
    with pytest.raises(InputError, match=r"are not saved|could not be saved"):
        save(analysed(), run)
    assert not run.exists()


def test_a_full_disk_leaves_the_earlier_analysis_and_nothing_else(run, monkeypatch):
    save(analysed(), run)

    def full(frame, path, *args, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(
        InputError, match=r"could not be saved beside run .*No space left.*Make room"
    ) as error:
        save(replace(analysed(), root="Early A"), run)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    assert left_in(run) == [key_of(SETTINGS)]
    assert_same(load(run, SETTINGS), analysed())


def test_analyses_are_deleted_with_their_run_and_leave_it_readable(run):
    save(analysed(), run)
    store = RunStore(run.parent)
    assert store.open(run.name).to_adata().n_obs == 40
    store.delete(run.name)
    assert list(run.parent.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_a_day_later_and_one_at_work_is_not(run):
    killed, at_work = (run / FOLDER / f".{name}" for name in ("killed", "at-work"))
    for folder in (killed, at_work):
        folder.mkdir(parents=True)
    long_ago = time.time() - LEFTOVER_AGE - 1
    os.utime(killed, (long_ago, long_ago))
    save(analysed(), run)
    assert left_in(run) == sorted([at_work.name, key_of(SETTINGS)])


def test_another_worker_that_was_faster_with_the_same_analysis_is_as_good(run, monkeypatch):
    save(analysed(), run)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # it came after this worker had looked
    save(analysed(), run)
    monkeypatch.undo()
    assert stored(run) == [SETTINGS]
    assert left_in(run) == [key_of(SETTINGS)]


def test_an_analysis_that_cannot_be_put_in_place_leaves_the_earlier_one(run, monkeypatch):
    save(analysed(), run)
    real = Path.rename

    def refuse(path, target):
        if path.name.startswith(".") and not path.name.endswith("-earlier"):
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InputError, match="could not be saved beside run"):
        save(replace(analysed(), root="Tip A"), run)
    monkeypatch.undo()
    assert load(run, SETTINGS).root == analysed().root
    assert left_in(run) == [key_of(SETTINGS)]
