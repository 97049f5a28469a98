"""From selected cells to a training on them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached, files
from deepvelo import config, keys, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError
from deepvelo.io.runs import Run, RunStore
from deepvelo.selections import Grouping, store
from deepvelo.selections.store import SavedSelection
from tests.on_page import fine, gesture, press, selected, words

ROOT = Path(__file__).resolve().parents[3]
OPC = {"how": "new", "group": "OPC"}


@pytest.fixture
def run(server: Path, saved_run: str) -> Run:
    return cached.open_run(saved_run)


def opened(run: Run) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60)
    app.query_params.update(run=run.info.run_id)
    return fine(app.run())


def trained(app: AppTest) -> AppTest:
    app.button(key="selection.train").click().run()
    assert not app.exception  # the page refuses so few cells
    return app


def saved_names(run: Run) -> list[str]:
    return sorted(saved.name for saved in store.stored(run.folder).selections)


def members(run: Run) -> list[str]:
    return run.obs.index[run.obs["clusters"] == "OPC"].tolist()


def test_one_click_saves_the_cells_and_opens_the_training_on_them(run):
    app = trained(gesture(opened(run), 0, OPC))
    n_cells = len(members(run))
    [saved] = store.stored(run.folder).selections
    assert saved.name == f"{n_cells} cells of OPC"
    assert store.load(run.folder, saved.selection_id)[1] == members(run)
    assert app.header[0].value == "Train"
    assert f"must be below the number of cells. Got 30 for {n_cells} cells." in app.error[0].value
    assert f"**made-up cells, {n_cells} cells of OPC**, {n_cells} cells × 6 genes" in words(app)
    assert app.query_params["data"] == f"cells:{run.info.run_id}|{saved.selection_id}"


def test_a_saved_selection_is_taken_as_it_is(run):
    app = trained(gesture(opened(run), 0, OPC))
    trained(gesture(app.switch_page(str(ROOT / "pages" / "velocity.py")).run(), 0, OPC))
    assert len(saved_names(run)) == 1


def test_other_cells_under_the_same_name_are_kept(run):
    name = f"{len(members(run))} cells of OPC"
    other = store.save(run.folder, name, ["another cell"])
    trained(gesture(opened(run), 0, OPC))
    assert saved_names(run) == [name, f"{name} (2)"]
    assert store.load(run.folder, other.selection_id)[1] == ["another cell"]


def damage(run: Run, saved: SavedSelection) -> None:
    """Cut the last byte off a saved selection, whose description can still be read."""
    file = run.folder / store.FOLDER / f"{saved.selection_id}.cells"
    file.write_bytes(file.read_bytes()[:-1])


def test_a_damaged_selection_of_the_same_name_is_left_alone(run):
    name = f"{len(members(run))} cells of OPC"
    damage(run, store.save(run.folder, name, ["another cell"]))
    trained(gesture(opened(run), 0, OPC))
    assert saved_names(run) == [name, f"{name} (2)"]


def test_a_name_of_200_characters_leaves_room_for_a_number(run):
    long = "x" * 200
    app = gesture(opened(run), 0, OPC)
    app.session_state["selection.save"] = True  # the box is open
    app.run()
    app.text_input(key="selection.name").set_value(long).run()
    app.button(key="selection.save_now").click().run()
    damage(run, store.find(run.folder, long))
    trained(app)
    assert saved_names(run) == [f"{'x' * 196} (2)", long]


def test_cells_of_several_groups_are_named_by_the_largest(run):
    everything = {"how": "new", "box": [[-1e9, 1e9], [-1e9, 1e9]], "axes": ["x", "y"]}
    trained(gesture(opened(run), 0, everything))
    assert saved_names(run) == ["40 cells of Granule and 2 more"]


def test_the_data_are_the_cells_with_the_groups_made_by_hand(run):
    cells = run.obs.index
    names = members(run)
    saved = store.save(run.folder, "tip", names)
    source = files.from_text(f"cells:{run.info.run_id}|{saved.selection_id}")
    assert list(cached.dataset(source).obs_names) == names
    cached.grouping_store(run).create(
        "mine", Grouping.empty(cells).assign(names[:3], "a").assign(names[3:], "b")
    )
    adata = cached.dataset(source)
    assert adata.obs["mine"].tolist() == ["a"] * 3 + ["b"] * (len(names) - 3)
    assert len(adata.uns["mine_colors"]) == 2
    assert "mine" in cached.summary(source).groupings


@pytest.mark.parametrize(
    "text", ["cells:../../etc|x", "cells:..|x", "cells:gone|0123456789abcdef", "cells:a"]
)
def test_an_address_of_cells_that_are_not_there_is_refused(server, text):
    with pytest.raises(InputError):
        files.from_text(text)


def test_a_deleted_selection_is_no_data_set_any_more(run):
    saved = store.save(run.folder, "tip", members(run))
    text = f"cells:{run.info.run_id}|{saved.selection_id}"
    assert files.to_text(files.from_text(text)) == text
    store.delete(run.folder, saved.selection_id)
    with pytest.raises(InputError, match="deleted or replaced"):
        files.from_text(text)


def test_nothing_selected_offers_no_training(run):
    assert opened(run).button(key="selection.train").disabled


def test_a_whole_result_has_the_groups_made_by_hand(run):
    cells = run.obs.index
    mine = Grouping.empty(cells).assign(cells[:3], "tip", color="#123456")
    cached.grouping_store(run).create("mine", mine)
    cached.grouping_store(run).create("clusters", mine)
    adata = run.to_adata()
    assert adata.obs["mine"].isna().sum() == len(cells) - 3
    assert list(adata.uns["mine_colors"]) == ["#123456"]
    assert set(adata.obs["clusters"]) == {"Granule", "Neuroblast", "OPC"}
    assert "'clusters' was left out" in adata.uns["deepvelo_notes"][-1]


@pytest.fixture
def fitted(server: Path) -> Run:
    """A stored run of 160 simulated cells, whose counts can be fitted."""
    cells = simulate(kind="branch", n_cells=160, n_genes=60, depth=4000, seed=0)
    settings = config.replace(config.Settings(), {"method": "steady_state"})
    result = workflow.run(cells, settings, cluster_key=keys.CLUSTERS)
    return cached.open_run(RunStore(server / "runs").save(result, data_name="my cells", data_hash="d" * 32))


def outlined(app: AppTest, run: Run, share: float) -> AppTest:
    """The page after a lasso around a share of the cells, those on the left."""
    x, y = run.obsm[keys.embedding(run.info.basis)][:, :2].T
    right = float(np.quantile(x, share))
    corners = [[x.min() - 1, right, right, x.min() - 1], [y.min() - 1, y.min() - 1, y.max() + 1, y.max() + 1]]
    lasso = [[float(at) for at in side] for side in corners]
    return fine(gesture(app, 0, {"how": "new", "lasso": lasso, "axes": ["x", "y"]}))


@pytest.mark.slow
def test_an_outlined_group_is_named_and_trained_on_with_others(fitted):
    app = outlined(opened(fitted), fitted, 0.4)
    tip = fitted.obs.index[selected(app)]
    app.session_state["selection.group"] = True
    app.run()
    for _ in range(2):  # the name is no option of the box, so `AppTest` forgets it
        box = app.selectbox(key="groups.group")
        box.options.append("tip")
        box.set_value("tip")
        if not app.button(key="groups.put").disabled:
            app.button(key="groups.put").click()
        app.run()
    assert "tip 100%" in words(fine(app))

    app = outlined(app, fitted, 0.7)
    cells = fitted.obs.index[selected(app)]
    fine(app.button(key="selection.train").click().run())
    app.selectbox(key="train.groups").select("My groups 1")
    app.number_input(key="settings.preparation.min_shared_counts").set_value(5)
    app.number_input(key="settings.training.n_epochs").set_value(2).run()
    press(fine(app), "Start training")
    deadline = time.monotonic() + 300
    while not app.success and not app.error and time.monotonic() < deadline:
        time.sleep(2)
        app.run()
    press(fine(app), "Show velocity")

    run = cached.open_run(app.query_params["run"])
    assert run.info.cluster_key == "My groups 1"
    assert list(run.obs.index) == list(cells)
    assert set(run.obs.index[run.obs["My groups 1"] == "tip"]) == set(tip)
    assert run.info.data_name.startswith(f"my cells, {len(cells)} cells of tip")
