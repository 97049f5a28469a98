"""Groups made by hand of selected cells, and their editing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.contents.groups import MAX_GROUPS
from deepvelo.io.runs import Run
from deepvelo.selections import Grouping
from tests.on_page import fine, gesture, headers, labels, plain, words

ROOT = Path(__file__).resolve().parents[3]
ODD = "<b>$x$</b> [a](b) 🧬"


@pytest.fixture
def run(server: Path, saved_run: str) -> Run:
    return cached.open_run(saved_run)


@pytest.fixture
def edited(run: Run) -> AppTest:
    """The app with a grouping "mine" of the groups a (10 cells), b (5 cells) and c (1 cell), being edited."""
    cells = run.obs.index
    grouping = (
        Grouping.empty(cells).assign(cells[:10], "a").assign(cells[10:15], "b").assign(cells[15:16], "c")
    )
    cached.grouping_store(run).create("mine", grouping)
    app = AppTest.from_function(editor, default_timeout=60)
    app.query_params.update(run=run.info.run_id, groups="mine")
    return fine(app.run())


def editor():
    """A page on which the dialog stays open; otherwise `AppTest` closes it at every run."""
    from app import session
    from app.selection.edit_groups import edit
    from app.shared import cached

    session.sync_url()
    edit(cached.open_run(session.run_id()))


def opened(page: str, run: Run, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / page), default_timeout=60)
    app.query_params.update(run=run.info.run_id, **query)
    return fine(app.run())


def selecting(run: Run, group: str, **query: str) -> AppTest:
    """The velocity page with the cells of a group selected, and the box to group them open."""
    app = gesture(opened("pages/velocity.py", run, **query), 0, {"how": "new", "group": group})
    app.session_state["selection.group"] = True
    return fine(app.run())


def put(app: AppTest, group: str) -> AppTest:
    typed(app, group).run()
    typed(app, group)
    return app.button(key="groups.put").click().run()


def typed(app: AppTest, group: str) -> AppTest:
    """The page with a name in the box of groups, which need not be one of its options."""
    box = app.selectbox(key="groups.group")
    box.options.append(group)
    box.set_value(group)
    return app


def the_grouping(run: Run) -> Grouping:
    [saved] = cached.groupings(run)
    return cached.grouping_store(run).load(saved.grouping_id)[1]


def toasts(app: AppTest) -> list[str]:
    return [plain(toast.value) for toast in app.toast]


def act(app: AppTest, groups: list[str], label: str) -> AppTest:
    """The page after a button of the dialog was pressed for some groups."""
    app.multiselect(key="groups.edit.chosen").set_value(groups).run()
    return next(button for button in app.button if button.label == label).click().run()


@pytest.mark.parametrize("name", ["tip", ODD, "../../etc/passwd", "=1+1"])
def test_selected_cells_become_a_group_of_a_new_grouping_that_is_shown(run, name):
    app = fine(put(selecting(run, "OPC"), name))
    grouping = the_grouping(run)
    own = run.obs["clusters"].astype(str)
    assert set(grouping.column(run.obs.index)[own == "OPC"]) == {name}
    assert grouping.column(run.obs.index)[own != "OPC"].tolist() == own[own != "OPC"].tolist()
    assert app.query_params["groups"] == "My groups 1"
    assert f"{name} 100%" in words(app)
    assert headers(app)[0]["cells"]["groups"] == ["Granule", "Neuroblast", name]


def test_a_grouping_from_nothing_has_the_group_alone(run):
    app = selecting(run, "OPC")
    app.selectbox(key="groups.start").select("")
    app.text_input(key="groups.name").set_value("tips").run()
    put(app, "tip")
    assert the_grouping(run).names == ["tip"]
    assert [saved.name for saved in cached.groupings(run)] == ["tips"]


def test_more_cells_join_a_group_and_another_grouping_is_left_alone(run):
    cells = run.obs.index
    cached.grouping_store(run).create("mine", Grouping.empty(cells).assign(cells[:1], "tip"))
    app = selecting(run, "OPC")
    assert app.selectbox(key="groups.grouping").options == ["mine", "New grouping"]
    put(app, "tip")
    own = run.obs["clusters"].astype(str).to_numpy()
    members = np.flatnonzero(the_grouping(run).column(cells) == "tip")
    assert members.tolist() == sorted({0, *np.flatnonzero(own == "OPC").tolist()})


@pytest.mark.parametrize(
    ("name", "group", "problem"),
    [
        (
            "clusters",
            "tip",
            "The data have a column 'clusters' already. Choose another name for the grouping.",
        ),
        ("gene", "tip", "The data have a column 'gene' already. Choose another name for the grouping."),
        (
            "mine",
            "unassigned",
            "Cells without a group are called 'unassigned', so no group can have this name.",
        ),
    ],
)
def test_a_group_that_cannot_be_made_leaves_no_grouping(run, name, group, problem):
    app = selecting(run, "OPC")
    app.text_input(key="groups.name").set_value(name).run()
    put(app, group)
    assert toasts(app)[0].startswith(problem)
    assert cached.groupings(run) == []


def test_one_group_too_many_is_refused_in_one_sentence(run):
    cells = run.obs.index
    grouping = Grouping.empty(cells)
    for i in range(MAX_GROUPS):
        grouping = grouping.assign(cells[:1], f"group {i}")
    cached.grouping_store(run).create("mine", grouping)
    app = put(selecting(run, "OPC"), "one more")
    assert toasts(app) == ["A grouping has at most 100 groups. Got 101. Merge some of them first."]


def test_a_grouping_that_another_visitor_deletes_meanwhile_is_said_to_be_gone(run):
    cells = run.obs.index
    cached.grouping_store(run).create("mine", Grouping.empty(cells).assign(cells[:1], "tip"))
    app = selecting(run, "OPC")
    typed(app, "tip").run()
    cached.grouping_store(run).delete(cached.groupings(run)[0].grouping_id)
    app.button(key="groups.put").click().run()
    assert toasts(app) == ["The grouping 'mine' was deleted or renamed. Choose another."]


def test_a_start_that_another_visitor_deletes_meanwhile_is_said_to_be_gone(run):
    cells = run.obs.index
    saved = cached.grouping_store(run).create("mine", Grouping.empty(cells).assign(cells[:1], "tip"))
    app = selecting(run, "OPC")
    app.selectbox(key="groups.grouping").select("").run()
    app.selectbox(key="groups.start").select("mine").run()
    typed(app, "tip").run()
    typed(app, "tip")
    cached.grouping_store(run).delete(saved.grouping_id)
    app.button(key="groups.put").click().run()
    assert toasts(app) == ["The grouping 'mine' was deleted or renamed. Choose another."]
    assert cached.groupings(run) == []
    fine(app)


def test_nothing_can_be_edited_before_there_is_a_grouping(run):
    assert "Edit groups" not in labels(opened("app/main.py", run))


def test_groups_move_hide_and_go(run, edited):
    act(edited, ["b"], "Earlier")
    assert the_grouping(run).names == ["b", "a", "c"]
    act(edited, ["a"], "Later")
    assert the_grouping(run).names == ["b", "c", "a"]
    act(edited, ["c"], "Hide")
    assert the_grouping(run).hidden == ["c"]
    act(edited, ["c"], "Show")
    assert the_grouping(run).hidden == []
    act(edited, ["a"], "Remove")
    assert the_grouping(run).sizes == {"b": 5, "c": 1}
    assert "Last change: Removed 'a'." in words(edited)
    for _ in range(5):
        edited.button(key="groups.edit.undo").click().run()
    assert the_grouping(run).names == ["a", "b", "c"]
    assert edited.button(key="groups.edit.undo").disabled
    fine(edited)


@pytest.mark.parametrize("label", ["Earlier", "Later", "Hide", "Remove"])
def test_a_group_that_another_visitor_renames_meanwhile_is_said_to_be_gone(run, edited, label):
    edited.multiselect(key="groups.edit.chosen").set_value(["b"]).run()
    [saved] = cached.groupings(run)
    cached.grouping_store(run).change(saved.grouping_id, lambda it: it.rename("b", "tip"), what="Renamed")
    next(button for button in edited.button if button.label == label).click().run()
    assert toasts(edited) == ["There is no group 'b'. Found 'a', 'tip', 'c'. Choose among them."]
    assert the_grouping(run).names == ["a", "tip", "c"]
    fine(edited)


@pytest.mark.parametrize("name", ["tip", ODD])
def test_a_group_is_renamed_and_recoloured(run, edited, name):
    edited.multiselect(key="groups.edit.chosen").set_value(["a"]).run()
    next(field for field in edited.text_input if field.label == "Name").set_value(name).run()
    assert the_grouping(run).names == [name, "b", "c"]
    assert edited.multiselect(key="groups.edit.chosen").value == [name]
    edited.color_picker[0].set_value("#123456").run()
    assert the_grouping(run).colors[name] == "#123456"
    assert not toasts(fine(edited))


def test_a_name_that_is_taken_is_refused(run, edited):
    edited.multiselect(key="groups.edit.chosen").set_value(["a"]).run()
    next(field for field in edited.text_input if field.label == "Name").set_value("b").run()
    assert toasts(edited) == ["There is a group 'b' already. Merge the two, or choose another name."]
    assert the_grouping(run).names == ["a", "b", "c"]


def test_groups_are_merged(run, edited):
    edited.multiselect(key="groups.edit.chosen").set_value(["a", "c"]).run()
    edited.text_input(key="groups.edit.merged").set_value("branch")
    edited.button(key="groups.edit.merge").click().run()
    assert the_grouping(run).sizes == {"branch": 11, "b": 5}


def test_a_renamed_grouping_stays_shown_and_a_deleted_one_does_not(run, edited):
    next(field for field in edited.text_input if field.label == "Name of the grouping").set_value(ODD).run()
    assert edited.query_params["groups"] == ODD
    edited.button(key="groups.edit.delete").click().run()
    assert "groups" not in edited.query_params
    assert cached.groupings(run) == []
    assert "no readable grouping made by hand" in words(fine(edited))


@pytest.mark.parametrize("keep", [10, -1])
def test_a_damaged_grouping_is_one_sentence_and_can_be_edited_away(run, edited, keep):
    [file] = (run.folder.parent / ".groupings").glob("*/*.groups")
    file.write_bytes(file.read_bytes()[:keep])
    edited.run()
    assert not edited.exception
    said = [message.value for message in [*edited.warning, *edited.error]]
    assert len(said) == 1
    assert "damaged" in said[0]
    app = AppTest.from_file(str(ROOT / "app/main.py"), default_timeout=60)
    app.query_params.update(run=run.info.run_id, groups="mine")
    app.run()
    assert not app.exception
    app.selectbox(key="pick_groups").select("clusters").run()
    assert headers(fine(app))[0]["cells"]["groups"] == ["Granule", "Neuroblast", "OPC"]
    assert "Edit groups" in labels(app)


def test_only_its_maker_deletes_a_grouping(run):
    cells = run.obs.index
    cached.grouping_store(run).create(
        "hers", Grouping.empty(cells).assign(cells[:1], "tip"), owner="someone else", owner_name="Anna"
    )
    app = opened("app/main.py", run)
    app.button(key="groups.edit.open").click().run()
    assert "Made by Anna." in words(fine(app))
