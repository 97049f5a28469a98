"""Links to every page: what they name is shown, and foreign values break nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deepvelo.lineages import LineageSettings, save
from tests.compared import copy_as
from tests.on_page import figures, fine
from tests.pages.test_lineages import ENDS, made_up

PAGES = Path(__file__).resolve().parents[2] / "pages"
NAMES = (
    "arrows", "boundaries", "check", "density", "embedding", "fade", "gene", "genes", "group", "lineage", "list", "map", "names", "pies",
    "rates", "root", "show", "smoothing", "stability", "states", "terminal", "tested", "types", "view", "weight", "with",
    "zoom",
)  # fmt: skip
FOREIGN = {"long": "x" * 10_000, "empty": "", "list": ["a", "b"] * 10, "odd": "\0<b>[x](http://a.b)\u202e"}
# Those of each page that it draws at once.
DRAWN = {
    "velocity": ("arrows", "density", "embedding"), "phase_portraits": ("show", "types", "zoom"),
    "kinetic_rates": ("names", "rates"), "compare": ("smoothing", "view", "with"),
    "lineages": ("root", "terminal", "weight", "states", "stability"),
}  # fmt: skip


@pytest.fixture
def opened(checked_run, queue):
    """A page of the run by its link: ``opened("velocity", embedding="pca")``."""

    def open_link(name: str, **link: object) -> AppTest:
        page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=120)
        page.query_params.update(run=checked_run.info.run_id, **link)
        return page.run()

    return open_link


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", DRAWN)
def test_foreign_values_break_no_page_and_leave_the_address(opened, name, value):
    page = opened(name, **dict.fromkeys(NAMES, value))
    assert not page.exception
    for said in (*page.toast, *page.error):
        assert len(said.value) < 1500
    assert not [key for key in DRAWN[name] if page.query_params.get(key) == value != ""]
    assert not page.run().exception


def test_a_link_shows_several_portraits_in_its_colours(opened, checked_run):
    genes = [str(gene) for gene in checked_run.var.index[:3]]
    group = str(checked_run.obs[checked_run.info.cluster_key].iloc[0])
    page = fine(opened("phase_portraits", show="Several", genes=genes, types=group, zoom="off"))
    (grid,) = figures(page)
    assert [note["text"] for note in grid["layout"]["annotations"]][:3] == genes
    assert page.multiselect(key="phase.types").value == [group]
    assert page.toggle(key="phase.zoom").value is False
    assert not page.toast


def test_a_link_shows_a_map_of_one_rate_without_names(opened):
    page = fine(opened("kinetic_rates", names="off"))
    assert page.toggle(key="rates.names").value is False
    assert page.query_params["names"] == "off"


def test_a_link_shows_a_control_and_the_methods_beside(opened, checked_run):
    first, second = (copy_as(checked_run, mode) for mode in ("stochastic", "dynamical"))
    page = opened("compare", view="Agreement", smoothing="Once", map="Cell type", **{"with": [second]})
    assert not page.exception
    assert page.segmented_control(key="compare.view").value == "Agreement"
    assert page.segmented_control(key="compare.smooth").value == "Once"
    assert page.multiselect[0].value == [second]
    assert first not in page.multiselect[0].value
    page = opened("compare", view="Controls", check="Other seeds")
    assert page.segmented_control(key="compare.part").value == "Other seeds"


def test_a_link_opens_an_analysis_of_lineages(opened, checked_run):
    settings = LineageSettings(
        cluster_key=checked_run.info.cluster_key, root="Granule immature", terminal=tuple(ENDS),
        weight_connectivities=0.4, n_states=5, seed=checked_run.info.settings.seed,
    )  # fmt: skip
    save(made_up(checked_run, settings), checked_run.folder)
    newer = LineageSettings(cluster_key=settings.cluster_key, seed=settings.seed)
    save(made_up(checked_run, newer), checked_run.folder)
    link = {"root": "Granule immature", "terminal": ENDS, "weight": "0.4", "states": "5"}
    page = fine(opened("lineages", view="Fates", lineage=ENDS[1], **link))
    assert page.segmented_control(key="lineages.view").value == "Fates"
    assert [box.value for box in page.segmented_control if box.label == "Lineage"] == [ENDS[1]]
    assert {name: page.query_params[name] for name in link} == link
    assert not page.toast


def test_a_link_names_the_boundaries_to_score(opened, checked_run):
    group, other = sorted(set(checked_run.obs[checked_run.info.cluster_key].astype(str)))[:2]
    page = fine(opened("compare", boundaries=f"{other} > {group}"))
    boundaries = next(box for box in page.multiselect if box.label.startswith("Boundaries"))
    assert boundaries.value == [f"{other} > {group}"]
    assert page.query_params["boundaries"] == f"{other} > {group}"
