"""The training page: every setting is there, bad ones are a sentence, jobs are shown as the server knows them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from app.background.job_status import RESUBMITTED
from app.background.resources import MEMORY, Place
from app.shared import cached
from app.train.settings_form import FIRST
from deepvelo import config
from deepvelo.config import PRESETS, Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.plan import in_words, plan_of
from deepvelo.workflow import Progress
from tests.on_page import fine, labels, plain, press, words

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = DataSource(kind="sample")
TERMS = {"continuity_future": 2.0, "continuity_past": 2.0, "pearson_u": -0.1, "pearson_s": -0.2, "direction": 1.0,
         "total": 5.0}  # fmt: skip


@pytest.fixture
def page(server, queue) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
    page.query_params["data"] = "sample"
    return page


def test_the_empty_page_says_what_to_do(page):
    del page.query_params["data"]
    page.run()
    assert not page.exception
    assert "No data set chosen yet" in page.info[0].value
    assert labels(page) == ["Choose data", "Use the sample"]


def test_every_setting_is_in_the_form_with_help(page):
    page.run()
    assert not page.exception
    drawn = {
        w.label: w for kind in ("number_input", "selectbox", "toggle", "text_input") for w in page.get(kind)
    }
    for section in config.sections().values():
        for name, field in section.__pydantic_fields__.items():
            assert field.title in drawn, name
            assert drawn[field.title].help.startswith(field.description), name
    assert "Seed" in drawn


def test_cells_can_be_compared_in_what_the_data_bring_and_other_data_begin_anew(page, queue, monkeypatch):
    monkeypatch.setattr(cached, "fit_problem", lambda *_, **__: None)
    monkeypatch.setattr(cached, "compare_options", lambda source: ["auto", "own", "X_harmony"])
    page.run()
    page.selectbox(key="settings.preparation.compare_in").select("X_harmony").run()
    fine(page)
    assert page.selectbox(key="settings.preparation.compare_in").value == "X_harmony"
    monkeypatch.setattr(cached, "compare_options", lambda source: ["auto", "own", "X_scVI"])
    page.run()
    assert fine(page).selectbox(key="settings.preparation.compare_in").value == "auto"


def test_settings_that_change_results_come_first_and_the_others_wait_in_expanders(page):
    page.run()
    shown = [f"settings.{section}.{name}" for section, name in FIRST]
    boxes = [box.key for box in page.number_input if box.key.startswith("settings.")]
    assert boxes[: len(shown) + 1] == [*shown, "settings.seed"]
    in_expanders = {box.key for expander in page.expander for box in expander.number_input}
    assert in_expanders == set(boxes) - {"settings.seed", *shown}
    assert {"settings.graph.n_neighbors", "settings.objective.lambda_u"} <= in_expanders


def test_changed_settings_are_what_is_trained(page, queue):
    page.run()
    page.number_input(key="settings.graph.n_neighbors").set_value(11)
    page.number_input(key="settings.objective.lambda_u").set_value(2.5)
    page.number_input(key="settings.graph.n_candidates").set_value(40)
    page.text_input(key="train.name").set_value("mine").run()
    press(page, "Start training")
    assert not page.exception
    (job,) = queue.submitted
    assert job.settings == config.replace(
        Settings(),
        {"graph": {"n_neighbors": 11, "n_candidates": 40}, "objective": {"lambda_u": 2.5}},
    )
    assert (job.source, job.cluster_key, job.name) == (SAMPLE, "clusters", "mine")


def test_the_published_preset_fills_the_form_and_warns_of_negative_rates(page, queue):
    page.run()
    page.button_group(key="settings.preset").set_value("published").run()
    assert page.number_input(key="settings.training.n_epochs").value == PRESETS["published"].training.n_epochs
    assert any("negative" in warning.value for warning in page.warning)
    press(page, "Start training")
    assert queue.submitted[0].settings == PRESETS["published"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_finite_number_is_refused(page, queue, value):
    page.run()
    page.number_input(key="settings.training.n_epochs").set_value(value).run()
    assert not page.exception
    (error,) = page.error
    assert "**Epochs** (`training.n_epochs`)" in error.value
    assert start_button(page).disabled


def start_button(page: AppTest) -> Button:
    return next(button for button in page.button if button.label == "Start training")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("training.n_epochs", -5, "**Epochs** (`training.n_epochs`) should be greater than or equal to 1. Got -5."),
        ("training.n_epochs", 0, "**Epochs** (`training.n_epochs`) should be greater than or equal to 1. Got 0."),
        ("training.n_epochs", 2.7, "**Epochs** (`training.n_epochs`) should be a whole number. Got 2.7."),
        ("training.n_epochs", None, "**Epochs** (`training.n_epochs`) is empty. Give a whole number."),
        ("training.n_epochs", 1e300, "**Epochs** (`training.n_epochs`) should be a whole number. Got 1e+300."),
        ("graph.n_neighbors", 501, "**Graph neighbours** (`graph.n_neighbors`) should be less than or equal to 500."),
        ("objective.lambda_u", -0.5, "**λ unspliced** (`objective.lambda_u`) should be greater than or equal to 0."),
        ("graph.n_candidates", 1, "**Candidate neighbours** (`graph.n_candidates`) should be 0 or at least 2"),
        ("seed", -1, "**Seed** should be greater than or equal to 0. Got -1."),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_and_stays_in_its_field(page, key, value, said):
    fine(page.run())
    page.number_input(key=f"settings.{key}").set_value(value).run()
    assert not page.exception
    assert [error.value[: len(said)] for error in page.error] == [said]
    assert start_button(page).disabled
    assert page.number_input(key=f"settings.{key}").value == value


def test_no_number_is_held_back_or_changed_by_the_browser(page):
    fine(page.run())
    for number in page.number_input:
        drawn = number.proto
        assert not drawn.has_min, number.label  # what is beyond them would not be sent
        assert not drawn.has_max, number.label
        assert not drawn.HasField("default"), number.label  # it would fill an emptied field
        assert drawn.data_type == drawn.FLOAT, number.label  # 2.7 would be sent as 2, 1e3 as 1


def test_a_start_at_the_moment_a_number_becomes_wrong_queues_nothing(page, queue):
    fine(page.run())
    page.number_input(key="settings.training.n_epochs").set_value(-5)
    press(page, "Start training")
    assert len(page.error) == 1
    assert queue.submitted == []


def test_a_refused_setting_leaves_what_was_chosen_beside_it(page):
    fine(page.run())
    page.selectbox(key="train.method").select("stochastic")
    page.text_input(key="train.name").set_value("mine").run()
    page.number_input(key="settings.training.n_epochs").set_value(0).run()
    assert {metric.label: metric.value for metric in page.metric} == {
        "Memory": "–",
        "Time": "–",
    }
    page.number_input(key="settings.training.n_epochs").set_value(5).run()
    fine(page)
    assert page.selectbox(key="train.method").value == "stochastic"
    assert page.text_input(key="train.name").value == "mine"
    assert not start_button(page).disabled


def table_of_runs(page):
    return next(table.value for table in page.dataframe if "Run" in table.value)


def test_data_that_are_gone_leave_the_runs(page, saved_run):
    page.query_params["data"] = "file:gone.h5ad"
    page.run()
    assert not page.exception
    assert len(page.error) == 1
    assert len(table_of_runs(page)) == 1


def test_candidates_that_are_left_open_are_told_at_the_setting(page):
    page.query_params["data"] = "file:small.h5ad"
    from deepvelo.datasets import shipped

    shipped.sample()[:200].copy().write_h5ad(cached.data_folder() / "small.h5ad")
    page.run()
    assert not page.exception
    assert notes_on_candidates(page) == ["This data set uses 25."]
    page.number_input(key="settings.graph.n_candidates").set_value(40).run()
    assert not notes_on_candidates(page)


def test_what_the_size_decides_is_told_of_our_method(page):
    page.run()
    table = next(table.value for table in page.dataframe if "Plan" in table.value)
    assert dict(zip(table["Plan"], table["Value"], strict=True)) == dict(
        in_words(plan_of(3000, 800, PRESETS["default"]))
    )
    page.selectbox(key="train.method").select("stochastic").run()
    assert not any("Plan" in table.value for table in page.dataframe)


def test_epochs_of_mini_batches_are_told_at_the_epochs(page):
    page.run()
    (told,) = [text.value for text in page.caption if "epochs of mini-batches" in text.value]
    # the sample has 3,000 cells
    assert {"34", "500", "200"} <= set(told.split())
    page.number_input(key="settings.training.batch_cells").set_value(3000).run()
    assert not [text for text in page.caption if "epochs of mini-batches" in text.value]


def notes_on_candidates(page: AppTest) -> list[str]:
    return [caption.value for caption in page.caption if "This data set uses " in caption.value]


def test_more_neighbours_than_cells_are_refused_before_the_start(page):
    page.query_params["data"] = "file:few.h5ad"
    from deepvelo.datasets import shipped

    shipped.sample()[:25].copy().write_h5ad(cached.data_folder() / "few.h5ad")
    page.run()
    assert not page.exception
    assert "**Neighbours for moments** (`preparation.n_neighbors`) must be below" in page.error[0].value
    assert "25 cells" in page.error[0].value
    assert next(b for b in page.button if b.label == "Start training").disabled


def test_memory_and_time_are_estimated(page):
    page.run()
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Memory"].endswith("GB")
    assert shown["Time"]


def test_progress_is_shown_and_can_be_cancelled(page, queue):
    queue.put(
        "slow",
        state="running",
        progress=Progress(step="train", epoch=30, n_epochs=100, terms=TERMS),
        history=[{"epoch": 30} | TERMS],
        seconds_left=65.0,
        message="The worker died; resuming after epoch 20.",
    )
    queue.put("next", state="queued")
    page.run()
    assert not page.exception
    text = " ".join(m.value for m in page.markdown)
    assert "epoch 30 of 100, about 65 s left. The worker died; resuming after epoch 20." in text
    assert "position 1" in text
    assert len(page.get("bidi_component")) == 1
    page.button(key="cancel.slow").click().run()
    assert queue.cancelled == ["slow"]
    assert any("was cancelled" in info.value for info in page.info)


@pytest.mark.parametrize("owner", ["", "another"])
def test_a_job_that_is_being_cancelled_says_so_and_is_cancelled_once(page, queue, owner):
    queue.put(
        "slow",
        state="running",
        cancelling=True,
        owner=owner,
        progress=Progress(step="train", epoch=30, n_epochs=100, terms=TERMS),
    )
    page.run()
    assert not page.exception
    assert "cancelling" in " ".join(m.value for m in page.markdown)
    assert page.button(key="cancel.slow").disabled


def test_the_end_of_a_job_is_told_to_its_owner(page, queue):
    queue.put("mine", state="running")
    page.run()
    queue.put("mine", state="finished", run_id="r")
    page.run()
    assert "has finished" in page.success[0].value
    assert "Show velocity" in labels(page)
    page.button(key="dismiss.mine").click().run()
    assert not page.success


def test_a_failure_is_a_message(page, queue):
    queue.put("mine", state="running")
    page.run()
    queue.put("mine", state="failed", message="Memory ran out. Lower `preparation.n_top_genes`.")
    page.run()
    assert not page.exception
    assert "Memory ran out. Lower **Variable genes** (`preparation.n_top_genes`)." in page.error[0].value


def test_a_failure_is_told_to_a_new_session_until_it_is_dismissed(page, queue, browser):
    browser("mine")
    page.run()
    press(page, "Start training")
    job_id = queue.submitted[0].job_id
    queue.put(job_id, name="mine", state="failed", message="Memory ran out.")
    for _ in range(2):  # a reload is a new session of the same browser
        later = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
        later.query_params["data"] = "sample"
        later.run()
        assert "**mine** failed. Memory ran out." in later.error[0].value
    later.button(key=f"dismiss.{job_id}").click().run()
    assert not later.error
    assert queue.jobs == {}
    assert not page.run().error


def test_of_others_endings_failures_are_named(page, queue):
    queue.put("done", state="finished", run_id="r", owner="x")
    queue.put("gone", state="cancelled", owner="x")
    queue.put("broken", state="failed", message="Memory ran out.", owner="x", owner_name="anna@lab")
    page.run()
    assert not page.success
    assert not page.error
    assert not any("cancelled" in info.value for info in page.info)
    told = [caption.value for caption in page.caption if "failed" in caption.value]
    assert len(told) == 1
    assert "broken, by anna@lab: failed" in plain(told[0])
    assert "dismiss.broken" not in {button.key for button in page.button}


def test_a_job_of_another_visitor_is_cancelled_only_after_a_confirmation(queue, server, browser):
    def job_page(visitor):
        browser(visitor)
        page = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
        page.query_params["data"] = "sample"
        return page.run()

    page = job_page("anna")
    press(page, "Start training")
    job = queue.submitted[0]
    assert job.owner
    assert "anna" not in job.owner
    for visitor, whose in [("anna", ""), ("ben", "Another visitor started it."), ("anna", "")]:
        page = job_page(visitor)
        shown = words(page)
        assert (whose in shown) if whose else ("nother visitor" not in shown)
        labels_of = {button.key: button.label for button in page.button}
        assert labels_of[f"cancel.{job.job_id}"] == ("Cancel anyway" if whose else "Cancel")
    assert queue.cancelled == []


def test_two_visitors_who_press_start_at_once_start_one_job(page, queue, browser):
    """Both pages were drawn before either was pressed; the queue itself is asked in `tests/app/background/test_jobs.py`."""
    page.run()
    other = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
    other.query_params["data"] = "sample"
    other.run()
    press(page, "Start training")
    press(other, "Start training")
    assert len(queue.submitted) == 1


def test_what_is_trained_now_is_not_started_again(page, queue):
    page.run()
    other = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
    other.query_params["data"] = "sample"
    other.run()
    press(page, "Start training")
    assert any("under way" in info.value for info in page.info)
    again = next(button for button in page.button if button.label == "Start training")
    assert again.disabled
    press(other, "Start training")  # as the second of two clicks, from a page drawn before the first
    assert any("under way" in info.value for info in other.info)
    assert len(queue.submitted) == 1
    page.number_input(key="settings.graph.n_neighbors").set_value(11).run()
    press(page, "Start training")
    assert len(queue.submitted) == 2


def test_a_queue_out_of_reach_is_one_sentence_and_leaves_the_form(page, queue, monkeypatch):
    def refuse():
        msg = "The scheduler at tcp://x cannot be reached. Start it."
        raise InputError(msg)

    monkeypatch.setattr(queue, "list", refuse)  # `same` asks it too
    page.run()
    assert not page.exception
    assert "cannot be reached" in page.error[0].value
    assert "Start training" in labels(page)


def test_a_scheduler_that_goes_away_and_comes_back_is_one_sentence_meanwhile(page, queue, monkeypatch):
    def refuse():
        msg = "The Dask scheduler tcp://x cannot be reached."
        raise InputError(msg)

    job = {
        "state": "running",
        "message": RESUBMITTED,
        "progress": Progress(step="train", epoch=3, n_epochs=9),
    }
    queue.put("mine", **job)
    page.run()
    with monkeypatch.context() as away:
        away.setattr(queue, "list", refuse)
        page.run()
        assert not page.exception
        assert [plain(error.value) for error in page.error] == [
            "The Dask scheduler tcp://x cannot be reached."
        ]
    fine(page.run())
    assert f"mine · Training, epoch 3 of 9. {RESUBMITTED}" in words(page).replace("**", "")
    queue.put("mine", state="finished")
    page.run()
    assert any("mine** has finished" in message.value for message in page.success)


def test_where_a_job_would_run_and_what_it_asks_for(page, queue, monkeypatch):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 0)  # of the web server: it does not count
    queue.where = Place(scheduler="tcp://lab:8786", workers=[{MEMORY: 4e9}] * 2, requests={MEMORY: 2**30})
    fine(page.run())
    for told in ("tcp://lab:8786", "one of its 2 workers", "about 1.0 GB of memory"):
        assert told in words(page)
    assert queue.where.warning in [plain(warning.value) for warning in page.warning]
    press(page, "Start training")
    shown = next(metric.value for metric in page.metric if metric.label == "Memory")
    assert f"{queue.submitted[0].requests[MEMORY] / 2**30:.1f} GB" == shown


def test_a_job_that_no_worker_can_do_is_refused_before_the_start(page, queue):
    queue.where = Place(scheduler="s", workers=[{MEMORY: 2**30}], requests={MEMORY: 9 * 2**30})
    page.run()
    assert not page.exception
    assert "The largest connected worker declares 1.0 GB. Lower" in page.error[0].value
    assert next(button for button in page.button if button.label == "Start training").disabled


def test_runs_are_listed_with_settings_and_scores(page, saved_run):
    page.run()
    table = table_of_runs(page)
    assert not page.exception
    assert table["Run"].tolist() == ["made up"]
    assert table["Consistency"].tolist() == [0.8]
    assert table["Candidates"].tolist() == [5]  # an eighth of 40 cells, not the 120 of the settings
    assert table["Epochs"].tolist() == [3]
    assert table["Preset"].tolist() == ["default, changed"]
    assert any("smoothness, not correctness" in caption.value for caption in page.caption)


def test_the_same_data_and_settings_are_offered_instead_of_repeated(page, saved_run, monkeypatch):
    info = cached.runs()[0]
    monkeypatch.setattr(cached, "find_run", lambda *args: info)
    page.run()
    assert any("same data and settings" in message.value for message in page.info)
    assert "Open that run" in labels(page)
    assert "Train again" in labels(page)


@pytest.mark.slow
def test_a_real_job_trains_and_its_run_opens(server):
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
    app.query_params["data"] = "sample"
    app.run()
    app.switch_page("../pages/train.py").run()
    app.number_input(key="settings.training.n_epochs").set_value(2)
    app.number_input(key="settings.preparation.n_top_genes").set_value(60).run()
    press(app, "Start training")
    deadline = time.monotonic() + 300
    while not app.success and not app.error and time.monotonic() < deadline:
        time.sleep(2)
        app.run()
    assert [error.value for error in app.error] == []
    press(app, "Show velocity")
    assert not app.exception
    assert app.header[0].value == "Velocity"
    assert len(app.get("bidi_component")) == 1
    app.switch_page("../pages/train.py").run()
    assert any("same data and settings" in message.value for message in app.info)
