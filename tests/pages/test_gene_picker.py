"""The search box of genes, its steps, gene lists and the genes shown last."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.phase_portraits import gene_table
from app.shared import cached
from app.shared.gene_picker import LAST, SEARCH
from deepvelo import keys
from tests.on_page import figures, fine, kept_widgets, plain, shown_gene

LIST = "gene.list"


@pytest.fixture
def app(opened) -> AppTest:
    return fine(opened("phase_portraits").run())


@pytest.fixture
def ranked(app, shared_run) -> tuple[str, ...]:
    return cached.genes(shared_run).ranked


def search(app: AppTest, typed: str) -> AppTest:
    box = app.selectbox(key=SEARCH)
    box.options.append(typed)  # AppTest knows no new options
    return box.set_value(typed).run()


def step(app: AppTest, key: str) -> str:
    app.button(key=f"gene.{key}").click().run()
    return shown_gene(fine(app))


def captions(app: AppTest) -> str:
    return plain(" ".join(caption.value for caption in app.caption)).replace("**", "")


@pytest.mark.parametrize("typed", ["Cpe", "CPE", " cpe ", "GRCh38_Cpe", "Cp"])
def test_a_gene_is_found_by_any_of_its_names_or_a_part(app, typed):
    search(app, typed)
    assert shown_gene(fine(app)) == "Cpe"
    assert app.query_params["gene"] == "Cpe"
    assert app.selectbox(key=SEARCH).value is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [("Tmsb11", "Did you mean 'Tmsb10'?"), ("o", "genes have 'o' in their names"), ("x" * 10_000, "Check its spelling")],
)  # fmt: skip
def test_what_is_no_gene_is_said_once_and_the_gene_stays(app, typed, said):
    before = shown_gene(app)
    search(app, typed)
    (error,) = app.error
    assert said in plain(error.value)
    assert len(error.value) < 1000
    assert shown_gene(app) == before
    assert not app.run().error


def test_the_steps_follow_the_ranking_and_go_round(app, ranked):
    search(app, ranked[0])
    assert step(app, "next") == ranked[1]
    assert app.query_params["gene"] == ranked[1]
    assert step(app, "previous") == ranked[0]
    assert step(app, "previous") == ranked[-1]
    assert step(app, "next") == ranked[0]
    assert (app.button(key="gene.next").proto.shortcut, app.button(key="gene.previous").proto.shortcut) == (
        "n",
        "p",
    )


def test_pasted_genes_become_the_list_that_the_steps_follow(app):
    search(app, "sox2, nothere;  GAD1\nzzz")
    assert shown_gene(fine(app)) == "Sox2"
    assert "List Sox2, Gad1: 2 of 4 genes; not in this run: nothere, zzz." in captions(app)
    assert step(app, "next") == "Gad1"
    assert step(app, "next") == "Sox2"
    search(app, "Cpe")  # not of the list
    assert step(app, "next") == "Sox2"


def test_the_table_shows_the_order_of_the_steps_in_parts(app, ranked, monkeypatch):
    monkeypatch.setattr(gene_table, "MOST_ROWS", 4)
    search(app, ranked[4])
    assert list(app.dataframe[0].value["Gene"]) == list(ranked[4:])
    assert "Genes 5 to 6 of 6." in captions(app)
    search(app, "Sox2 Gad1")
    assert list(app.dataframe[0].value["Gene"]) == ["Sox2", "Gad1"]


def test_a_list_without_a_gene_of_the_run_is_said(app):
    search(app, "nothere zzz")
    assert "None of the 2 genes of the list ('nothere', 'zzz') is in this run" in plain(app.error[0].value)
    assert "list" not in app.query_params


def test_a_link_opens_a_list_and_one_that_is_gone_is_said(app, opened):
    search(app, "Sox2 Gad1")
    other = opened("kinetic_rates")
    other.query_params.update(list=app.query_params["list"], gene="Gad1")
    assert step(other.run(), "next") == "Sox2"
    for foreign in ("0123456789abcdef", "../x", "x" * 10_000):
        gone = opened("kinetic_rates")
        gone.query_params["list"] = foreign
        gone.run()
        assert not gone.exception
        assert [toast.value for toast in gone.toast] == [
            "The gene list of this link is not on this server. Paste its genes, or choose another list."
        ]
        assert "list" not in gone.query_params
        assert not gone.run().toast


def test_the_genes_shown_last_are_offered(app, ranked):
    for gene in (*ranked, ranked[0]):
        search(app, gene)
    assert app.menu_button(key=LAST).options == [ranked[0], *ranked[:0:-1]]
    app.menu_button(key=LAST).click(ranked[2]).run()
    assert shown_gene(fine(app)) == ranked[2]


def test_a_named_list_is_offered_to_other_visitors(app, opened):
    app.session_state["gene.lists"] = True  # an open box
    app.run()
    app.text_area(key=f"{LIST}.pasted").set_value("Gad1\nSox2\nnothere")
    app.text_input(key=f"{LIST}.name").set_value("_glia_")
    next(button for button in app.button if button.label == "Use these genes").click().run()
    assert shown_gene(fine(app)) == "Gad1"
    assert "List _glia_: 2 of 3 genes" in captions(app)
    assert app.text_area(key=f"{LIST}.pasted").value == ""

    other = opened("kinetic_rates")
    other.session_state["gene.lists"] = True
    box = fine(other.run()).selectbox(key=f"{LIST}.chosen")
    assert "_glia_ · 3 genes" in box.options
    box.set_value(app.query_params["list"]).run()
    assert shown_gene(fine(other)) == "Gad1"
    other.selectbox(key=f"{LIST}.chosen").set_value("").run()
    assert "list" not in other.query_params


@pytest.mark.parametrize(
    ("name", "content", "chosen"),
    [
        ("sets.GMT", b"A\tof a\tCpe\nB\tof b\tgad1\tnothere\tsox2\n", "B"),
        ("genes.txt", b"gad1\nnothere\nsox2\n", "genes.txt"),
    ],
)
def test_a_set_of_a_file_is_followed(app, name, content, chosen):
    app.session_state["gene.lists"] = True
    app.run()
    app.file_uploader[0].set_value((name, content, "text/plain")).run()
    next(box for box in fine(app).selectbox if box.label == "Gene set").select(chosen).run()
    assert shown_gene(fine(app)) == "Gad1"
    assert f"List {chosen}: 2 of 3 genes; not in this run: nothere." in captions(app)
    assert step(app, "next") == "Sox2"


def test_another_file_takes_the_place_of_the_first(app):
    app.session_state["gene.lists"] = True
    app.run()
    for gene in ("Gad1", "Sox2"):
        app.file_uploader[0].set_value((f"{gene}.gmt", f"A\tof a\t{gene}\n".encode(), "text/plain")).run()
        box = next(box for box in fine(app).selectbox if box.label == "Gene set")
        assert box.value is None
        box.select("A").run()
        assert shown_gene(fine(app)) == gene
    assert len(kept_widgets(app, "gene.list.set")) == 1  # so that the first file is not held


def test_a_file_without_sets_is_said(app):
    app.session_state["gene.lists"] = True
    app.run()
    app.file_uploader[0].set_value(("sets.gmt", b"no tab\n", "text/plain")).run()
    assert "sets.gmt, line 1 is not a gene set" in plain(app.error[0].value)


def test_several_portraits_are_of_the_list(app):
    search(app, "Sox2 Gad1 Cpe")
    app.segmented_control(key="phase.mode").select("Several").run()
    (grid,) = figures(app)
    assert [note["text"] for note in grid["layout"]["annotations"]] == ["Sox2", "Gad1", "Cpe"]


def test_cells_are_coloured_by_the_score_of_the_list(opened, shared_run):
    app = opened("velocity")
    app.query_params["color"] = "gene_list"
    app.run()
    assert "No gene list is chosen" in app.error[0].value
    search(app, "Sox2 Gad1")
    (figure,) = figures(app)
    score = cached.gene_list_score(shared_run, app.query_params["list"])
    values = [cached.gene_values(shared_run, keys.MS, gene) for gene in ("Sox2", "Gad1")]
    np.testing.assert_allclose(score, np.log1p(values).mean(axis=0), rtol=1e-5)  # six genes leave no controls
    assert "Gene list: mean score" in app.selectbox(key="pick_color").options
    assert figure["data"]
