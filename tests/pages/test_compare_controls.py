"""Controls on the Compare page: what is queued, what is found again, what the results say."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.compare.controls import PART_KEY
from app.shared import controls
from app.shared.boundaries import boundary_key
from app.shared.signal import VIEW_KEY
from deepvelo import config
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.evaluation.controls import SEEDS_NOTE, SIGNAL_DEFINITION, STEADY_STATE_NOTE
from tests.checked import add_control, add_seed, add_steady_state_controls, add_to_sweep
from tests.compared import copy_as
from tests.on_page import figures, fine, labels, press, words

PAGE = Path(__file__).resolve().parents[2] / "pages" / "compare.py"


@pytest.fixture
def run(checked_run):
    return checked_run


@pytest.fixture
def opened(run, queue):
    """Open a part of the Controls view: ``opened("Other seeds")``."""

    def open_part(part: str, run_id: str = run.info.run_id) -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=120)
        page.query_params["run"] = run_id
        page.session_state[VIEW_KEY] = "Controls"
        page.session_state[PART_KEY] = part
        return page.run()

    return open_part


def test_a_control_is_queued_once(opened, run, queue):
    page = fine(press(opened("Shuffled control"), "Fit 1 run"))
    (job,) = queue.submitted
    assert job.source == DataSource("shuffled", path=str(controls.folder_of(run)), seed=0)
    assert (job.settings, job.purpose, job.base) == (run.info.settings, "control", run.info.run_id)
    assert "Fit 1 run" not in labels(page)
    assert "1 in the queue above" in words(page)


def test_a_control_as_good_as_the_run_leaves_no_signal(opened, run):
    add_control(run)
    page = fine(opened("Shuffled control"))
    assert [metric.value for metric in page.metric] == ["0.00"]
    assert SIGNAL_DEFINITION in words(page)
    table = page.dataframe[0].value
    assert list(table) == ["This run", "Control"]
    assert (table["This run"] == table["Control"]).all()
    assert {"Consistency, median", "Neuroblast > Granule immature, genes"} <= set(table.index)
    assert not any(label.startswith("Fit 1") for label in labels(page))


def test_steady_state_controls_are_queued_several_times(opened, run, queue):
    add_steady_state_controls(run, 2)
    page = opened("Steady-state control")
    assert "2 of 5 fits done" in words(page)
    fine(press(page, "Fit 3 runs"))
    assert [job.source.seed for job in queue.submitted] == [2, 3, 4]
    assert {(job.source.kind, job.purpose, job.base) for job in queue.submitted} == {
        ("steady_state", "steady_state", run.info.run_id)
    }


def test_a_run_is_set_beside_steady_state_controls(opened, run):
    add_steady_state_controls(run, 3)
    page = fine(opened("Steady-state control"))
    assert STEADY_STATE_NOTE in words(page)
    table = page.dataframe[0].value
    assert (table["This run"] == table["Control"]).all()
    assert table.loc["Consistency, mean", "± sd"] == "0.00"
    assert table.loc["Neuroblast > Granule immature, genes", "As high"] == "3 of 3"
    assert "none of them proves that cells move" in words(page)


def test_seeds_are_queued_as_many_as_asked_for_and_cancelled_together(opened, run, queue):
    add_seed(run, 1)
    page = opened("Other seeds")
    page.number_input[0].set_value(4).run()
    assert "1 of 3 fits done" in words(page)
    page = fine(press(page, "Fit 2 runs"))
    assert [job.settings.seed for job in queue.submitted] == [2, 3]
    assert {(job.purpose, job.base) for job in queue.submitted} == {("seed", run.info.run_id)}
    assert "seed 2** · queued, position 1; 1 more queued" in words(page)
    press(page, "Cancel all")
    assert queue.cancelled == ["job-1", "job-0"]


@pytest.mark.parametrize(("back_every", "below", "mean"), [(0, 0, "1.00"), (2, 20, "0.00"), (1, 40, "−1.00")])
def test_seeds_agree_where_they_move_alike(opened, run, back_every, below, mean):
    add_seed(run, 1, back_every=back_every)
    page = fine(opened("Other seeds"))
    assert [metric.value for metric in page.metric] == [f"{below} of 40"]
    assert f"2 seeds compared; mean agreement **{mean}**" in words(page)
    assert SEEDS_NOTE in words(page)
    (figure,) = figures(page)
    marker = next(trace["marker"] for trace in figure["data"] if trace["marker"].get("showscale"))
    assert (marker["cmin"], marker["cmax"]) == (-1, 1)


def test_a_sweep_varies_what_is_chosen_one_at_a_time(opened, run, queue):
    page = opened("Other settings")
    chosen = {box.label.partition(",")[0]: box for box in page.multiselect}
    assert chosen["Graph neighbours"].value == ["10"]  # 40 is not below the number of cells
    assert chosen["λ unspliced"].value == chosen["λ spliced"].value == ["0", "4"]
    for name in ("Candidates", "λ unspliced", "λ spliced", "Genes"):
        chosen[name].set_value([])
    page.run()
    page = fine(press(page, "Fit 1 run"))
    assert [job.settings for job in queue.submitted] == [
        config.replace(run.info.settings, {"graph": {"n_neighbors": 10}})
    ]
    assert queue.submitted[0].purpose == "sweep"


def test_of_a_published_run_one_lambda_is_varied(opened, run):
    published = copy_as(run, settings={"preset": "published"})
    chosen = {box.label.partition(",")[0]: box for box in opened("Other settings", published).multiselect}
    assert "λ spliced" not in chosen
    assert "Only its ratio to λ spliced counts" in chosen["λ unspliced"].help


@pytest.mark.parametrize(
    ("back_every", "verdict"), [(0, "Directions: survive;"), (1, "Directions: do not survive")]
)
def test_a_sweep_says_what_survives(opened, run, back_every, verdict):
    add_to_sweep(run, 10, back_every=back_every)
    page = fine(opened("Other settings"))
    assert verdict in words(page)
    (heat,) = figures(page)[0]["data"]
    assert heat["y"] == ["base run", "graph neighbours 10"]
    turned = heat["x"].index("Cells<br>reversed")
    assert heat["text"][1][turned] == ("100%" if back_every else "0%")


def test_boundaries_chosen_among_the_scores_count_here_too(opened, run):
    add_to_sweep(run, 10)
    page = opened("Other settings")
    page.session_state[boundary_key(run)] = ["Neuroblast > OPC", "Neuroblast > nothing"]
    fine(page.run())
    edges = [column for column in page.dataframe[0].value if ">" in column]
    assert edges == ["Neuroblast > OPC"]


def test_what_is_no_number_is_one_sentence(opened, run):
    page = opened("Other settings")
    page.session_state[f"compare.sweep.{run.info.run_id}.n_neighbors"] = ["many"]
    page.run()
    assert not page.exception
    assert [error.value for error in page.error] == [
        "'Graph neighbours' takes a whole number. Got 'many'. Remove it and type another."
    ]


def test_other_seeds_of_scvelo_change_nothing(opened, run):
    page = opened("Other seeds", copy_as(run, "stochastic"))
    assert not page.exception
    assert "other seeds change nothing" in page.error[0].value


def test_a_scheduler_that_does_not_take_jobs_is_one_sentence(opened, queue, monkeypatch):
    def refuse(*_: object, **__: object) -> str:
        raise InputError("The Dask scheduler cannot be reached.")

    monkeypatch.setattr(queue, "submit", refuse)
    page = press(opened("Shuffled control"), "Fit 1 run")
    assert not page.exception
    assert [error.value for error in page.error] == ["The Dask scheduler cannot be reached."]


def test_only_checks_that_failed_are_told_of_when_they_end(opened, run, queue):
    seed = {"settings": run.info.settings, "purpose": "seed", "base": run.info.run_id}
    page = opened("Other seeds")
    queue.put("a", name="seed 1", state="finished", **seed)
    queue.put("b", name="seed 2", state="cancelled", **seed)
    queue.put("c", name="seed 3", state="failed", message="Memory ran out.", **seed)
    page.run()
    assert not page.exception
    assert [error.value for error in page.error] == ["**seed 3** failed. Memory ran out."]
    assert queue.forgotten == ["a", "b"]


def test_the_heat_map_is_drawn_with_the_definitions(opened, run):
    add_to_sweep(run, 10)
    page = fine(opened("Other settings"))
    assert figures(page)[0]["data"][0]["type"] == "heatmap"
    assert "share of the cells whose velocity points against that of the base run" in words(page)
