"""The frame of the Compare page and its scores: which runs, which modes are missing, what is better, boundaries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.background.job_status import JobStatus
from app.background.resources import MEMORY
from app.compare import runs as compare_runs
from app.compare.runs import FIT_MISSING
from app.shared import cached, comparison
from app.shared.boundaries import chosen_boundaries
from deepvelo import config
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.evaluation.compare import SMOOTHING_NOTE
from deepvelo.memory import estimate_memory
from deepvelo.pl import theme
from deepvelo.selections import store
from tests.compared import copy_as
from tests.on_page import figures, fine, press

PAGE = Path(__file__).resolve().parents[2] / "pages" / "compare.py"
GRANULE = ["Neuroblast > Granule immature", "Granule immature > Granule mature"]
MODES = ["steady_state", "stochastic", "dynamical"]


@pytest.fixture(autouse=True)
def without_peers(monkeypatch):
    """Only methods that need no package of their own, whatever is installed."""
    monkeypatch.setattr(compare_runs, "fitted_here", lambda: ("deepvelo", *MODES))


@pytest.fixture
def base(ring_run) -> str:
    """A run of ours whose cells all move alike, alone in the store."""
    return ring_run.info.run_id


@pytest.fixture
def page(shared_ring, queue) -> AppTest:
    """The page on that run; a test that asks for `base` too may change its store."""
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.query_params["run"] = shared_ring
    return page


def run_of(base: str):
    return cached.open_run(base)


def box(page: AppTest, label: str):
    return next(box for box in page.multiselect if label in box.label)


def test_scores_of_the_selected_cells_stand_below_those_of_all(page, shared_ring):
    run = run_of(shared_ring)
    names = run.obs.index[:7].tolist()
    store.save(run.folder, "seven", [*names, "a cell of another run"])
    page.query_params["cells"] = "seven"
    fine(page.run())
    found = comparison.compared((shared_ring,), None, chosen_boundaries(run))
    [cells] = found.cells.values()
    shown = page.dataframe[1].value
    assert shown.iloc[0, 0].removeprefix("★") == f"{cells.loc[names, 'consistency'].median():.3f}".replace(
        "-", "−"
    )
    assert "**In the 7 selected cells**" in words(page)
    press(page, "Clear")
    assert "selected cells**" not in words(page)


def scores(page: AppTest):
    return page.dataframe[0].value


def words(page: AppTest) -> str:
    return " ".join(text.value for text in [*page.markdown, *page.caption, *page.info])


def test_without_a_run_one_sentence_and_a_button(server, queue):
    page = fine(AppTest.from_file(str(PAGE), default_timeout=120).run())
    assert [button.label for button in page.button] == ["Choose data"]


def test_one_run_alone_is_scored_and_scvelos_modes_are_offered(page):
    fine(page.run())
    assert scores(page).loc["DeepVelo", "consistency_median"] == "1.000"
    assert "Only one run" in words(page)
    assert (
        "Not fitted to this data set yet: scVelo steady state, scVelo stochastic, scVelo dynamical."
        in words(page)
    )


def test_missing_modes_are_queued_on_just_these_data_with_these_settings(page, base, queue):
    fine(press(page.run(), FIT_MISSING))
    run = run_of(base)
    source = DataSource("run", path=str(run.folder.resolve()))
    assert queue.submitted == [
        JobStatus(
            job_id=f"job-{place}", name=source.label, source=source, cluster_key="clusters", basis="umap", base=base,
            owner=queue.submitted[place].owner,
            settings=config.replace(run.info.settings, {"method": mode}),
            requests={MEMORY: estimate_memory(run.info.metrics["n_cells"], run.info.metrics["n_genes"], run.info.settings)},
        )
        for place, mode in enumerate(MODES)
    ]  # fmt: skip
    assert source.hash() == run.info.data_hash


def test_graphvelo_is_offered_and_queued_where_it_is_installed(page, queue, monkeypatch):
    monkeypatch.setattr(compare_runs, "fitted_here", lambda: ("deepvelo", *MODES, "graphvelo"))
    page.run()
    assert "scVelo dynamical, GraphVelo. Uses the cells" in words(page)
    fine(press(page, FIT_MISSING))
    assert [job.settings.method for job in queue.submitted] == [*MODES, "graphvelo"]


def test_queued_modes_are_shown_and_not_offered_again(page, queue):
    press(page.run(), FIT_MISSING)
    assert FIT_MISSING not in [button.label for button in page.button]
    assert "scVelo, stochastic" in words(page)


def test_a_mode_that_failed_says_why_and_can_be_tried_again(page, base, queue):
    run = run_of(base)
    settings = config.replace(run.info.settings, {"method": "dynamical"})
    message = "scVelo's dynamical mode failed at gene 'Cpe'."
    source = DataSource("run", path=str(run.folder))
    queue.put("j", name="cells", source=source, settings=settings, state="failed", message=message)
    page.run()
    assert not page.exception
    assert [error.value.endswith(message) for error in page.error] == [True]
    assert scores(page).loc["DeepVelo", "consistency_median"] == "1.000"
    assert FIT_MISSING in [button.label for button in page.button]


def test_a_store_that_cannot_be_written_to_is_said_before_anything_is_queued(page, queue, monkeypatch):
    def refuse(self) -> None:
        raise InputError("The disk is full.")

    page.run()
    monkeypatch.setattr(type(cached.store()), "require_writable", refuse)
    press(page, FIT_MISSING)
    assert not page.exception
    assert [error.value for error in page.error] == ["The disk is full."]
    assert not queue.submitted


def test_at_first_the_newest_run_of_every_other_method_on_the_same_data(page, base):
    run = run_of(base)
    copy_as(run, "dynamical", name="older")
    dynamical, steady = copy_as(run, "dynamical", base=base), copy_as(run, "steady_state", base=base)
    ours = copy_as(run, name="ours again")
    other = copy_as(run, "stochastic", name="other", settings={"preparation": {"n_top_genes": 50}})
    copy_as(run, "stochastic", name="elsewhere", data_hash="1" * 32)
    copy_as(run, "stochastic", name="control", purpose="control", base=base)
    fine(page.run())
    runs = box(page, "Compare")
    assert runs.value == [steady, dynamical]
    assert sorted(runs.options) == [
        "DeepVelo: ours again", "scVelo, dynamical", "scVelo, dynamical: older", "scVelo, steady state",
        "scVelo, stochastic: other (other preparation)",
    ]  # fmt: skip
    assert list(scores(page).index) == ["DeepVelo", "scVelo steady state", "scVelo dynamical"]
    assert "Not fitted to this data set yet: scVelo stochastic." in words(page)
    runs.set_value([ours, other]).run()
    assert list(scores(fine(page)).index) == comparison.names((base, ours, other))


def test_a_mode_that_is_fitted_meanwhile_joins(page, base):
    page.run()
    found = copy_as(run_of(base), "stochastic", base=base)
    page.run()
    assert box(page, "Compare").value == [found]


def test_a_run_that_is_deleted_meanwhile_leaves(page, base, server):
    run = run_of(base)
    gone = copy_as(run, name="gone")
    page.run()
    box(page, "Compare").set_value([gone]).run()
    assert len(scores(page)) == 2
    shutil.rmtree(server / "runs" / gone)
    fine(page.run())
    assert list(scores(page).index) == ["DeepVelo"]


def test_a_method_that_is_better_is_shown_as_better(page, base):
    worse = copy_as(run_of(base), "stochastic", back_every=2)
    page.query_params["run"] = worse
    fine(page.run())
    assert scores(page)["consistency_median"].to_dict() == {
        "scVelo stochastic": "−1.000", "DeepVelo": "★ 1.000"
    }  # fmt: skip
    assert "Better than **scVelo stochastic**: **DeepVelo** in Consistency" in words(page)


def test_histograms_tests_and_definitions(page, base):
    copy_as(run_of(base), "stochastic", back_every=2, base=base)
    fine(page.run())
    for figure in figures(page):
        colors = {trace["line"]["color"] for trace in figure["data"]}
        assert colors == {theme.METHOD_COLORS["deepvelo"], theme.METHOD_COLORS["stochastic"]}
    assert len(figures(page)) == 2
    tests = page.dataframe[2].value
    assert tests["How often"].tolist() == [
        "DeepVelo scores higher than scVelo stochastic in 100% of random pairs"
    ]
    assert tests["Medians"].tolist() == ["1.000 / −1.000"]
    assert "mean cosine of a cell's velocity" in words(page).lower()
    assert len(page.get("download_button")) == 2


def test_the_smoothing_switch_averages_all_and_says_what_it_does(page, base):
    copy_as(run_of(base), "stochastic", back_every=4, base=base)
    fine(page.run())
    assert SMOOTHING_NOTE in words(page)
    assert scores(page)["consistency_median"].tolist() == ["★ 1.000", "0.000"]
    next(group for group in page.segmented_control if group.label == "Smoothing").select("Once").run()
    assert scores(fine(page))["consistency_median"].tolist() == ["★ 1.000", "★ 1.000"]


def test_smoothness_of_fits_that_averaged_differently_is_not_ranked(page, base):
    averaged = {"graph": {"smooth_velocity": 1}}
    copy_as(run_of(base), settings=averaged, base=base)
    copy_as(run_of(base), "stochastic", back_every=4, base=base)
    page.run()
    box(page, "Compare").set_value([info.run_id for info in cached.runs() if info.run_id != base]).run()
    fine(page)
    assert not any("★" in shown for shown in scores(page)["consistency_median"])
    assert any("cannot be ranked as fitted" in warning.value for warning in page.warning)
    next(group for group in page.segmented_control if group.label == "Smoothing").select("None").run()
    assert any("★" in shown for shown in scores(fine(page))["consistency_median"])


def test_the_papers_boundaries_are_there_at_first_and_can_be_taken_away(page):
    fine(page.run())
    edges = box(page, "Boundaries")
    assert edges.value == GRANULE
    assert list(page.dataframe[1].value.index) == [
        f"{edge}, {space}" for space in ("embedding", "genes") for edge in GRANULE
    ]
    edges.set_value([]).run()
    fine(page)
    assert box(page, "Boundaries").value == []
    assert "boundary_genes" not in scores(page)
    assert any("No edges" in warning.value for warning in page.warning)


def test_a_boundary_is_added_from_two_boxes(page):
    page.run()
    pick = {select.label: select for select in page.selectbox}
    assert next(button for button in page.button if button.label == "Add").disabled
    pick["From"].select("Granule mature")
    pick["To"].select("Neuroblast").run()
    fine(press(page, "Add"))
    assert box(page, "Boundaries").value == [*GRANULE, "Granule mature > Neuroblast"]
    assert "Granule mature > Neuroblast, genes" in page.dataframe[1].value.index


def test_a_boundary_is_typed_and_a_bad_one_is_one_sentence_beside_the_others(page):
    page.run()
    typed = ["Granule mature>Neuroblast", "Neuroblast > Mars", "Neuroblast"]
    box(page, "Boundaries").set_value(typed).run()
    assert not page.exception
    assert ["'Mars'" in error.value for error in page.error] == [True, False]
    assert "'source > target'" in page.error[1].value
    assert list(page.dataframe[1].value.index) == [
        "Granule mature > Neuroblast, embedding", "Granule mature > Neuroblast, genes"
    ]  # fmt: skip


def test_a_group_of_one_cell_has_no_score_and_a_word_why(page):
    page.run()
    box(page, "Boundaries").set_value(["Granule mature > OPC"]).run()
    fine(page)
    assert page.dataframe[1].value["DeepVelo"].tolist() == ["–", "–"]
    assert any("OPC has one cell" in warning.value for warning in page.warning)


def test_runs_that_share_too_little_are_one_sentence(page, base, made_up_run, server):
    other = made_up_run(server / "runs", genes=("A", "B", "C", "D", "E", "F"))
    page.run()
    box(page, "Compare").set_value([other]).run()
    assert not page.exception
    assert len(page.error) == 1
    assert "share 0 of the 6 genes" in page.error[0].value
