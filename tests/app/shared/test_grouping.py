"""The groups that pages show: the run's own, another column, or a grouping made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.contents.groups import UNASSIGNED_COLOR
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.selections import Grouping, checked_file
from tests.on_page import figures, fine, headers, words
from tests.stored import copy_run

ROOT = Path(__file__).resolve().parents[3]
ODD = "<b>$x$</b> [a](b) 🧬"
OWN = ["Granule", "Neuroblast", "OPC"]


@pytest.fixture
def run(server: Path, saved_run: str) -> Run:
    return cached.open_run(saved_run)


@pytest.fixture
def by_hand(run: Run) -> str:
    """Name of a grouping: ten cells in one group, five in another, hidden, in an order of its own."""
    cells = run.obs.index
    grouping = Grouping.empty(cells).assign(cells[:10], "tip", color="#123456").assign(cells[10:15], ODD)
    cached.grouping_store(run).create("mine", grouping.order([ODD, "tip"]).hide(ODD))
    return "mine"


def opened(page: str, run: Run, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / page), default_timeout=60)
    app.query_params.update(run=run.info.run_id, gene="Tmsb10", **query)
    return app.run()


def drawn(figure: dict) -> dict[str, tuple[int, str]]:
    """Number of cells and colour of each group of a map, in the order of the legend."""
    traces = [trace for trace in figure["data"] if trace.get("legendgroup")]
    return {trace["name"]: (len(trace["x"]), trace["marker"]["color"]) for trace in traces}


def test_a_map_shows_a_grouping_by_hand_in_its_order_and_colours(run, by_hand):
    app = opened("pages/velocity.py", run, groups=by_hand)
    found = drawn(figures(app)[0])
    assert list(found.values()) == [(5, theme.GREY), (10, "#123456"), (25, UNASSIGNED_COLOR)]
    assert list(found)[1:] == ["tip", "unassigned"]
    picker = next(box for box in app.selectbox if box.label == "Colour by")
    assert picker.value == by_hand
    assert picker.options[:2] == [by_hand, run.info.cluster_key]


def test_a_grouping_by_hand_is_a_colour_beside_the_shown_groups(run, by_hand):
    app = opened("pages/velocity.py", run, color=by_hand)
    assert set(drawn(figures(app)[0])) >= {"tip", "unassigned"}
    about = headers(app)[0]["cells"]
    assert about["groups"] == OWN
    assert "&#60;b>&#36;x&#36;&#60;/b> [a](b) 🧬" in about["clickable"]


def test_hover_and_names_on_a_coloured_map_are_of_the_shown_groups(run, by_hand):
    app = opened("pages/velocity.py", run, groups=by_hand, color="latent_time")
    [header] = headers(app)
    assert header["cells"]["groups"] == [ODD, "tip", "unassigned"]
    assert header["cells"]["codes"][:16].tolist() == [1] * 10 + [0] * 5 + [2]
    assert {note["text"] for note in header["figure"]["layout"]["annotations"]} >= {"tip", "unassigned"}


def test_portraits_and_violins_leave_hidden_groups_out(run, by_hand):
    app = opened("pages/phase_portraits.py", run, groups=by_hand)
    assert [len(trace["x"]) for trace in figures(app)[0]["data"] if trace.get("name") == "tip"] == [10]
    assert "🧬" not in str(figures(app)[0]["data"])
    assert app.multiselect(key="phase.types").options[1:] == ["tip", "unassigned"]
    app = opened("pages/kinetic_rates.py", run, groups=by_hand)
    violins = [trace for trace in figures(app)[1]["data"] if trace["type"] == "violin"]
    assert [trace["name"] for trace in violins[:2]] == ["tip", "unassigned"]
    assert len(violins) == 6
    assert "Computed with the run's own groups 'clusters', not with 'mine'." in words(app)


def test_lineages_keep_the_own_groups_and_say_how_to_use_others(run, by_hand):
    app = opened("pages/lineages.py", run, groups=by_hand)
    assert "Computed with the run's own groups 'clusters', not with 'mine'. Any groups can be root" in words(
        app
    )
    root = next(box for box in app.selectbox if box.label == "Root")
    assert root.options[1:] == OWN


def test_the_own_groups_need_no_words(run, by_hand):
    app = opened("pages/kinetic_rates.py", run)
    assert "own groups" not in words(fine(app))
    assert set(drawn(figures(app)[0])) == set(OWN)


def test_the_sidebar_offers_all_groupings_and_colours_follow(run, by_hand):
    app = opened("app/main.py", run, color="clusters")
    box = app.selectbox(key="pick_groups")
    assert box.options[:2] == ["clusters", by_hand]
    assert box.value == "clusters"
    box.select(by_hand).run()
    assert app.query_params["groups"] == by_hand
    assert "color" not in app.query_params
    assert "tip" in drawn(figures(fine(app))[0])
    app.selectbox(key="pick_groups").select("clusters").run()
    assert "groups" not in app.query_params
    assert set(drawn(figures(fine(app))[0])) == set(OWN)


def test_a_link_to_groups_that_are_gone_shows_the_own_ones_and_says_so(run):
    app = opened("app/main.py", run, groups=ODD)
    assert set(drawn(figures(fine(app))[0])) == set(OWN)
    assert f"This run has no groups '{ODD}', so it shows its own." in words(app)


def test_another_run_of_the_data_has_the_grouping_and_other_data_have_not(run, by_hand, server, made_up_run):
    other = cached.open_run(made_up_run(server / "runs", seed=1))
    assert "tip" in drawn(figures(opened("pages/velocity.py", other, groups=by_hand))[0])
    elsewhere = cached.open_run(copy_run(run.folder, server / "runs", data_hash="1" * 32))
    assert set(drawn(figures(opened("pages/velocity.py", elsewhere, groups=by_hand))[0])) == set(OWN)


def test_unchanged_groupings_are_read_once(run, by_hand, monkeypatch):
    app = opened("pages/velocity.py", run, groups=by_hand)
    reads = []
    read = checked_file.read_description
    monkeypatch.setattr(checked_file, "read_description", lambda *given: reads.append(given) or read(*given))
    fine(app.run())
    assert reads == []
    [saved] = cached.groupings(run)
    cached.grouping_store(run).change(saved.grouping_id, lambda it: it.hide("tip"), what="Hid")
    fine(app.run())
    assert len(reads) == 1


def test_a_change_of_the_grouping_shows_at_the_next_draw(run, by_hand):
    app = opened("pages/velocity.py", run, groups=by_hand)
    [saved] = cached.groupings(run)
    cached.grouping_store(run).change(saved.grouping_id, lambda it: it.rename("tip", "top"), what="Renamed")
    assert "top" in drawn(figures(app.run())[0])
    cached.grouping_store(run).delete(saved.grouping_id)
    assert set(drawn(figures(app.run())[0])) == set(OWN)
