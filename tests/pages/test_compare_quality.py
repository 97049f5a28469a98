"""The quality gate on the Compare page, and its worst finding under the picture of the Velocity page."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import session
from app.compare.controls import PART_KEY
from app.shared.signal import VIEW_KEY
from tests.checked import add_control, add_seed, add_to_sweep
from tests.compared import copy_as
from tests.on_page import figures, fine

PAGES = Path(__file__).resolve().parents[2] / "pages"
ORDER = ["Red", "Amber", "Not checked", "Green"]


@pytest.fixture
def run(checked_run):
    return checked_run


@pytest.fixture
def opened(run):
    def open_page(name: str, run_id: str = run.info.run_id) -> AppTest:
        page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=120)
        page.query_params["run"] = run_id
        page.session_state[VIEW_KEY] = "Quality"
        return fine(page.run())

    return open_page


def findings(page: AppTest) -> dict[str, str]:
    """Level of each finding by its title, as written, in the order of the page."""
    found = {}
    for badge, text in itertools.pairwise(text.value for text in page.markdown):
        if badge.count("badge[") == 1 and text.startswith("**"):
            found[text.partition(".**")[0].strip("*")] = badge.rpartition(": ")[2].rstrip("]")
    return found


def worst_line(page: AppTest) -> str:
    return next(text.value for text in page.markdown if "badge[" in text.value)


def test_findings_come_worst_first_with_word_and_icon(opened):
    page = opened("compare")
    found = findings(page)
    assert len(found) == 9
    levels = [ORDER.index(level) for level in found.values()]
    assert levels == sorted(levels)
    assert all(":material/" in text.value for text in page.markdown if "badge[" in text.value)


def test_what_is_not_checked_leads_to_what_settles_it(opened):
    page = opened("compare")
    assert findings(page)["Against the shuffled control"] == "Not checked"
    buttons = {button.key: button for button in page.button}
    fine(buttons["check.Direction under other settings"].click().run())
    assert (page.session_state[VIEW_KEY], page.session_state[PART_KEY]) == ("Controls", "Other settings")


def test_a_finished_control_a_sweep_and_another_method_are_taken(opened, run):
    add_control(run)
    add_to_sweep(run, 10, back_every=1)
    copy_as(run, "stochastic", back_every=1, base=run.info.run_id)
    found = findings(opened("compare"))
    for title in (
        "Against the shuffled control",
        "Direction under other settings",
        "Agreement of the methods",
    ):
        assert found[title] == "Red"


def test_a_batch_column_can_be_named(opened, run):
    run.obs["sample"] = pd.Categorical(["one", "two"] * 20)
    page = opened("compare")
    box = next(box for box in page.selectbox if box.label == "Batch column")
    assert box.options == ["sample"]  # the groups themselves are no batches
    fine(box.select("sample").run())
    assert findings(page)["Batches"] != "Not checked"


def test_the_velocity_page_says_the_worst_and_leads_to_all(opened, run, monkeypatch):
    line = worst_line(opened("velocity"))
    assert "Red]" in line
    assert "**Velocity genes.** 6 genes of 6 have a velocity." in line.replace("\\", "")
    assert "no shuffled control" in line.replace("\\", "")
    add_control(run)
    page = opened("velocity")
    assert "Signal 0.00" in worst_line(page).replace("\\", "")
    went = []
    monkeypatch.setattr(session, "go", went.append)
    next(button for button in page.button if button.label == "All findings").click().run()
    assert (went, page.session_state[VIEW_KEY]) == (["compare"], "Quality")


def test_a_seed_is_not_judged_by_itself(opened, run):
    page = opened("velocity", add_seed(run, 1))
    assert not any("badge[" in text.value for text in page.markdown)


@pytest.mark.parametrize(("back_every", "kept"), [(0, 40), (2, 20), (1, 0)])
@pytest.mark.slow
def test_cells_where_seeds_disagree_can_be_faded(opened, run, back_every, kept):
    assert "velocity.fade" not in [toggle.key for toggle in opened("velocity").toggle]
    add_seed(run, 1, back_every=back_every)
    page = opened("velocity")
    fine(page.toggle(key="velocity.fade").set_value(True).run())
    traces = figures(page)[0]["data"]
    opacity = np.concatenate([trace["marker"]["opacity"] for trace in traces if trace["mode"] == "markers"])
    assert np.count_nonzero(opacity > 0.5) == kept
    assert f"Faded: {40 - kept} cells of 40" in page.caption[0].value
