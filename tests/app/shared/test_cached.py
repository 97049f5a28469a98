"""What takes seconds to import waits for the background; what is known of the data is not looked for again."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from app.shared import cached
from deepvelo import config
from deepvelo.arrays import matrices
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_first_screen_waits_for_nothing_heavy():
    code = "import sys, app.shared.cached; sys.exit(bool({'torch', 'scanpy', 'scvelo'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == 0


@pytest.mark.slow
def test_the_background_imports_once_what_pictures_need():
    thread = cached.warm_up()
    assert thread.daemon
    assert cached.warm_up() is thread
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert "scvelo.plotting.velocity_embedding_grid" in sys.modules
    assert gc.get_freeze_count() > 100_000


def test_other_settings_do_not_read_the_data_again(server, monkeypatch):
    source = DataSource(kind="sample")
    assert cached.fit_problem(source, Settings(), None, None) is None
    for name in ("blocks", "by_cells"):
        monkeypatch.setattr(matrices, name, lambda *_: pytest.fail("looked at a matrix"))
    others = [{"seed": 7}, {"graph": {"n_neighbors": 12}}, {"preparation": {"min_shared_counts": 25}}]
    for changes in others:
        assert cached.fit_problem(source, config.replace(Settings(), changes), None, None) is None


def test_a_file_replaced_in_a_folder_is_noticed(tmp_path):
    folder = tmp_path / "Solo.out"
    (folder / "Velocyto").mkdir(parents=True)
    member = folder / "Velocyto" / "spliced.mtx"
    member.write_text("1")
    before = cached._folder_stamp(folder)
    member.write_text("22")
    cached._folder_stamp.clear()  # it is looked at again after some seconds
    assert cached._folder_stamp(folder) != before


def test_data_that_end_their_reader_end_nothing_else_and_are_read_once(tmp_path, monkeypatch):
    inspected = []

    def die(source):
        inspected.append(source)
        raise InputError("ended the process that read it")

    monkeypatch.setattr(cached, "inspect", die)
    monkeypatch.setattr(DataSource, "load", lambda self: pytest.fail("read in the server"))
    source = DataSource(kind="file", path=str(tmp_path / "hostile.h5ad"))
    for look in (cached.dataset, cached.summary, cached.display_embeddings):
        with pytest.raises(InputError, match="ended the process"):
            look(source)
    join = DataSource(kind="join", path=source.path, counts_path=source.path)
    with pytest.raises(InputError, match="ended the process"):
        cached.join_report(join)
    assert inspected == [source, join]


def test_the_sample_needs_no_inspection(monkeypatch):
    monkeypatch.setattr(cached, "inspect", lambda source: pytest.fail("inspected"))
    cached._dataset.clear()
    assert cached.dataset(DataSource(kind="sample")).n_obs
