"""A run that is deleted while someone looks at it is a sentence on the next click, on every page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.io import checksums
from tests.checked import add_control
from tests.compared import copy_as
from tests.on_page import plain

PAGES = Path(__file__).resolve().parents[2] / "pages"
EXPLORING = ("velocity", "phase_portraits", "kinetic_rates", "compare", "lineages")
# Kinds of widgets, and how to change one.
CHANGES: dict[str, Callable[[object], object]] = {
    "selectbox": lambda widget: widget.select_index(len(widget.options) - 1),
    "multiselect": lambda widget: widget.set_value([]),
    "button_group": lambda widget: widget.set_value(widget.value),
    "slider": lambda widget: widget.set_value(widget.max),
    "toggle": lambda widget: widget.set_value(not widget.value),
    "button": lambda widget: widget.click(),
}


@pytest.fixture
def run(checked_run, queue):
    """A run with an analysis, a shuffled control and a run of another method beside it."""
    copy_as(checked_run, "stochastic")
    add_control(checked_run)
    return checked_run


@pytest.fixture
def open_page(run) -> Callable[[str], AppTest]:
    def opened(name: str) -> AppTest:
        app = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
        app.query_params.update(run=run.info.run_id, gene="Tmsb10", data="sample")
        return app.run()

    return opened


def by_hand(folder: Path) -> None:
    shutil.rmtree(folder)


def in_the_app(folder: Path) -> None:
    cached.delete_run(folder.name)


def with_the_whole_store(folder: Path) -> None:
    shutil.rmtree(folder.parent)


def with_its_disk(folder: Path) -> None:
    shutil.rmtree(folder.parent)
    folder.parent.write_text("no folder any more")


DELETIONS = [by_hand, in_the_app, with_the_whole_store, with_its_disk]


def require_said(app: AppTest) -> None:
    assert not app.exception
    shown = [element.value for element in (*app.error, *app.info, *app.caption)]
    assert any("deleted" in text or "no run" in text.lower() or "cannot be read" in text for text in shown)


@pytest.mark.parametrize(
    "delete", [by_hand, *(pytest.param(other, marks=pytest.mark.slow) for other in DELETIONS[1:])]
)
@pytest.mark.parametrize("page", EXPLORING)
def test_a_page_that_is_drawn_again_says_it(open_page, run, page, delete):
    app = open_page(page)
    assert not app.error
    assert not app.exception
    delete(Path(run.folder))
    require_said(app.run())


def widgets(app: AppTest) -> Iterator[tuple[str, int]]:
    for kind in CHANGES:
        for place in range(len(app.get(kind))):
            yield kind, place


@pytest.mark.slow
@pytest.mark.parametrize("page", [*EXPLORING, "train"])
def test_every_widget_of_a_page_says_it(open_page, run, page, tmp_path):
    runs = Path(run.folder).parent
    kept = shutil.copytree(runs, tmp_path / "kept")
    for number, (kind, place) in enumerate(list(widgets(open_page(page)))):
        app = open_page(page)
        widget = app.get(kind)[place]
        if getattr(widget, "disabled", False) or getattr(widget, "options", True) == []:
            continue
        DELETIONS[number % len(DELETIONS)](Path(run.folder))
        changed = CHANGES[kind](widget).run()
        assert not changed.exception, (kind, place)
        if page in EXPLORING:
            require_said(changed)
        runs.unlink() if runs.is_file() else shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(kept, runs)


@pytest.mark.slow
@pytest.mark.parametrize("page", EXPLORING)
def test_it_may_go_between_any_two_reads(open_page, run, page, monkeypatch, tmp_path):
    """The page that is being drawn says it, or, where all was read before, draws its picture."""
    folder = Path(run.folder)
    kept = shutil.copytree(folder, tmp_path / "kept")
    read = checksums._read_verified
    for n_reads in range(1, 40, 3):
        cached._open_run.clear()
        cached._gene_values.clear()
        n_left = n_reads

        def read_or_delete(*args: object, **options: object) -> object:
            nonlocal n_left
            n_left -= 1
            if n_left == 0:  # at once: a thread that reads ahead may outlast the page
                folder.rename(Path(mkdtemp(dir=tmp_path)) / "gone")
            return read(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(checksums, "_read_verified", read_or_delete)
            app = open_page(page)
        assert not app.exception, n_reads
        if n_left > 0:
            return
        shutil.copytree(kept, folder, dirs_exist_ok=True)


@pytest.mark.parametrize("delete", [by_hand, in_the_app])
@pytest.mark.slow
def test_a_compared_run_that_is_gone_leaves_the_others(open_page, run, delete):
    app = open_page("compare")
    assert not app.error
    other = next(info for info in cached.runs() if info.settings.method == "stochastic")
    delete(Path(run.folder).with_name(other.run_id))
    app.run()
    assert not app.exception
    assert app.header[0].value == "Compare"


def test_a_damaged_run_is_a_grey_line_and_can_be_deleted_there(open_page, run):
    (Path(run.folder) / "info.json").write_bytes(b"[" * 100_000)
    app = open_page("train")
    assert not app.exception
    assert sum("damaged" in caption.value for caption in app.caption) == 1
    assert [len(table.value) for table in app.dataframe if "Run" in table.value] == [1]  # the other method's
    app.button(key=f"train.damaged.delete.{run.info.run_id}").click().run()
    assert not app.exception
    assert not Path(run.folder).exists()
    assert not any("damaged" in caption.value for caption in app.caption)


def test_a_long_sentence_on_a_run_is_shown_whole(open_page, run):
    info = Path(run.folder) / "info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"format": 2}))
    (caption,) = [caption.value for caption in open_page("train").caption if "version" in caption.value]
    (damaged,) = cached.damaged_runs()
    assert damaged.problem in plain(caption)


def test_a_damaged_run_is_not_offered_and_says_what_it_is_where_it_was_chosen(open_page, run):
    (Path(run.folder) / "result.zarr" / ".zmetadata").write_text("{")
    cached._open_run.clear()
    for page in EXPLORING:
        app = open_page(page)
        assert not app.exception
        assert ".zmetadata" in app.error[0].value


def test_the_second_of_two_clicks_that_delete_says_that_it_is_gone(open_page, run):
    """Two visitors see the damaged run; one has deleted it already."""
    (Path(run.folder) / "info.json").write_bytes(b"")
    app = open_page("train")
    button = app.button(key=f"train.damaged.delete.{run.info.run_id}").click()
    cached.delete_run(run.info.run_id)
    button.run()
    assert not app.exception
    assert not app.error
    assert [toast.value for toast in app.toast] == ["This run was already deleted."]
