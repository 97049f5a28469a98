"""The Lineages page on a made-up run: what is queued, and what a finished analysis shows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.lineages.drivers import RATES, SINGLE_END, driver_table
from app.lineages.enrichment import notes, rows_in_words
from app.lineages.gene_lists import NO_MARKERS
from app.lineages.one_group import is_one_group
from app.lineages.settings import FIND, WHAT_COMES, in_short
from app.lineages.trajectory import HEIGHT, table_height
from deepvelo import keys, lineages
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages, LineageSettings
from deepvelo.tl.gene_sets.table_one import table_one
from tests.compared import copy_as
from tests.on_page import figures, fine, press, shown_gene, words

PAGE = Path(__file__).resolve().parents[2] / "pages" / "lineages.py"
ENDS = ["Granule mature", "Neuroblast"]


@pytest.fixture
def run(checked_run) -> Run:
    return checked_run


@pytest.fixture
def settings(run) -> LineageSettings:
    return LineageSettings(cluster_key=run.info.cluster_key, seed=run.info.settings.seed)


def made_up(run: Run, settings: LineageSettings, *, best: str | None = None, rates: bool = True) -> Lineages:
    """An analysis with two ends: time runs along the rows, and the first end takes the first half of the cells."""
    names = run.obs.index
    first = np.linspace(1, 0, len(names))
    genes = [str(name) for name in run.var.index]
    if best is not None:
        genes = [best, *(gene for gene in genes if gene != best)]
    drivers = pd.concat(
        pd.DataFrame(
            {
                "lineage": end, "gene": genes, "rank": range(1, len(genes) + 1),
                "correlation": np.linspace(0.9, -0.9, len(genes)), "ci_low": -0.95, "ci_high": 0.95,
                "p": 0.01, "q": 0.02, "measure": "fate",
                "alpha_change": 1.5 if rates else np.nan, "beta_change": -0.5 if rates else np.nan,
                "gamma_change": 0.25 if rates else np.nan,
            }
        )
        for end in ENDS
    )  # fmt: skip
    return Lineages(
        settings=settings,
        root="Granule immature",
        last_groups=tuple(ENDS),
        cells=pd.DataFrame(
            {
                "pseudotime": np.linspace(0, 1, len(names)),
                "latent_time": np.linspace(0, 1, len(names)),
                "part": pd.array(np.arange(len(names)) < len(names) // 4, dtype="Int64"),
                "macrostate": pd.Categorical([None] * len(names), categories=ENDS),
                f"fate: {ENDS[0]}": first,
                f"fate: {ENDS[1]}": 1 - first,
            },
            index=names,
        ),
        edges=pd.DataFrame(
            {
                "source": ["Granule immature", "Granule immature"],
                "target": ENDS,
                "confidence": [0.8, 0.3],
                "agreement": [0.9, 0.7],
                "source_cells": [40, 40],
                "target_cells": [50, 12],
            }
        ),
        drivers=drivers.reset_index(drop=True),
        warnings=("Time explains 20% of the arrows.",),
        seconds=1.0,
    )


@pytest.fixture
def opened(run, queue):
    """Open a view of the page: ``opened("Drivers")``."""

    def open_view(view: str = "Trajectory", run_id: str = run.info.run_id) -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=120)
        page.query_params["run"] = run_id
        page.session_state["lineages.view"] = view
        return page.run()

    return open_view


@pytest.mark.slow
def test_an_analysis_is_queued_once_with_the_choices_made(opened, run, queue, settings):
    page = fine(opened())
    next(box for box in page.multiselect if box.label == "Terminal states").set_value(ENDS)
    next(box for box in page.selectbox if box.label == "Root").select("Granule immature")
    page.run()
    page = fine(press(page, FIND))
    (job,) = queue.submitted
    assert job.lineages == LineageSettings(
        cluster_key=settings.cluster_key, root="Granule immature", terminal=tuple(ENDS), seed=settings.seed
    )
    assert (job.source, job.base) == (DataSource("run", path=str(run.folder.resolve())), run.info.run_id)
    assert "being computed" in words(page)
    assert not any(button.label == FIND for button in page.button)


def test_a_run_without_lineages_says_what_comes_out_and_how_long(opened):
    page = fine(opened())
    assert WHAT_COMES in words(page)
    assert "minute" in WHAT_COMES
    assert not any(box.label == "Earlier analyses" for box in page.selectbox)


def test_ends_that_cannot_be_are_refused_before_a_job_is_queued(opened, queue):
    page = opened()
    next(box for box in page.multiselect if box.label == "Terminal states").set_value(["Neuroblast"])
    next(box for box in page.selectbox if box.label == "Root").select("Neuroblast")
    page.run()
    page = press(page, FIND)
    assert [error.value for error in page.error] == [
        "'Neuroblast' is chosen as root and as terminal state. Choose another for one of them."
    ]
    assert queue.submitted == []


def test_an_earlier_analysis_can_be_returned_to_after_a_box_was_changed(opened, run, settings):
    chosen = dataclasses.replace(settings, root="Granule immature", stability=0.9, n_states=4)
    lineages.save(made_up(run, chosen), run.folder)
    lineages.save(made_up(run, settings), run.folder)
    page = opened()
    assert len(figures(page)) == 2
    next(box for box in page.slider if box.label == "Weight of similarity").set_value(0.5).run()
    assert figures(page) == []
    box = next(box for box in page.selectbox if box.label == "Earlier analyses")
    assert box.options == [
        "root inferred; terminal states inferred",
        "root Granule immature; terminal states inferred; 4 macrostates; stability 0.9",
    ]
    box.select(box.options[1]).run()
    assert len(figures(fine(page))) == 2
    assert next(box for box in page.selectbox if box.label == "Root").value == "Granule immature"
    assert [box.value for box in page.number_input[:2]] == [4, 0.9]
    # an empty box stays empty
    page.number_input[0].set_value(None).run()
    assert page.number_input[0].value is None


@pytest.mark.parametrize(
    ("undecided", "legend"),
    [(0.9, "group of fewer than 30 cells,<br>or direction undecided"), (0.1, "group of fewer than 30 cells")],
)
def test_an_edge_of_undecided_cells_is_dashed_on_the_map_and_in_the_tree(
    opened, run, settings, undecided, legend
):
    found = made_up(run, settings)
    lineages.save(
        dataclasses.replace(found, edges=found.edges.assign(undecided=[undecided, 0.0])), run.folder
    )
    for figure in figures(opened()):
        assert legend in [trace.get("name") for trace in figure["data"]]


@pytest.mark.parametrize("view", ["Trajectory", "Fates"])
def test_undecided_cells_are_said_over_every_view(opened, run, settings, view):
    lineages.save(made_up(run, settings), run.folder)
    assert "Undecided" not in words(fine(opened(view)))
    run.obs[keys.UNDECIDED] = np.arange(len(run.obs)) < 10
    assert "do not decide the direction of 25% of the cells" in words(fine(opened(view)))


def test_the_choices_of_an_analysis_in_a_line(settings):
    chosen = dataclasses.replace(settings, terminal=("OL", "GABA"), weight_connectivities=0.5)
    assert in_short(chosen) == "root inferred; terminal GABA, OL; weight 0.5"


def test_a_failure_goes_when_lineages_were_found_after_it(opened, run, settings, queue):
    known = {"base": run.info.run_id, "lineages": settings}
    queue.put("first", state="failed", message="No terminal state was found.", ended=1.0, **known)
    page = opened()
    assert [error.value for error in page.error] == ["**first** failed. No terminal state was found."]
    lineages.save(made_up(run, settings), run.folder)
    queue.put("second", state="finished", ended=2.0, **known)
    fine(page.run())
    assert queue.forgotten == ["first", "second"]
    queue.put("third", state="failed", message="No terminal state was found.", ended=3.0, **known)
    assert len(page.run().error) == 1


def test_a_scheduler_that_takes_no_jobs_is_one_sentence(opened, queue, monkeypatch):
    def refuse(*_: object, **__: object) -> str:
        raise InputError("The Dask scheduler cannot be reached.")

    monkeypatch.setattr(queue, "submit", refuse)
    page = press(opened(), FIND)
    assert not page.exception
    assert [error.value for error in page.error] == ["The Dask scheduler cannot be reached."]


def test_the_newest_analysis_is_shown_with_its_choices_and_warnings(opened, run, settings):
    chosen = LineageSettings(cluster_key=settings.cluster_key, terminal=tuple(ENDS), seed=settings.seed)
    lineages.save(made_up(run, chosen), run.folder)
    page = opened()
    over_embedding, tree = figures(page)
    assert next(box for box in page.multiselect if box.label == "Terminal states").value == ENDS
    assert [warning.value.replace("\\", "") for warning in page.warning] == [
        "Time explains 20% of the arrows."
    ]
    edges = page.dataframe[0].value
    assert list(edges["target"]) == ENDS
    assert list(edges["cells"]) == ["40 → 50", "40 → 12"]
    assert len(over_embedding["layout"]["shapes"]) > 3  # pies, rims, arrows
    assert len(tree["layout"]["shapes"]) > 3
    for figure in (over_embedding, tree):
        notes = [note["text"] for note in figure["layout"]["annotations"]]
        assert sum(note.endswith(">terminal</span>") for note in notes) == 2
        titles = [trace.get("legendgrouptitle", {}).get("text", "") for trace in figure["data"]]
        assert any("in each connected" in title for title in titles)
    assert not any(button.label == FIND for button in page.button)


def test_the_table_of_arrows_is_as_high_as_its_rows_beside_the_picture():
    assert table_height(4) == "content"
    assert table_height(100) == HEIGHT - 60


def test_the_columns_of_drivers_say_what_they_are(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = fine(opened("Drivers"))
    columns = json.loads(page.dataframe[0].proto.columns)
    assert "95% confidence" in columns["Low"]["help"]
    assert "95% confidence" in columns["High"]["help"]
    assert "False discovery rate" in columns["q"]["help"]
    assert "Low to High" in words(page)


def test_pies_can_show_fates(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = opened()
    next(group for group in page.segmented_control if group.label == "Pies show").select("Fates").run()
    assert len(figures(page)) == 2


def test_fates_and_trends_of_the_best_genes(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = opened("Fates")
    fate, all_fates, trends = figures(page)
    shown = next(trace["marker"]["color"] for trace in fate["data"] if trace["marker"].get("showscale"))
    assert shown is not None
    assert all_fates["layout"]["coloraxis"]["cmax"] == 1
    genes = next(box for box in page.multiselect if box.label == "Genes along the lineage")
    assert genes.value == [str(name) for name in run.var.index[:3]]
    titles = [note["text"] for note in trends["layout"]["annotations"]]
    assert {f"<b>{gene}</b>" for gene in genes.value} <= set(titles)
    genes.set_value([]).run()
    assert len(figures(page)) == 2


def test_drivers_say_what_rates_do_and_how_many_methods_agree(run, settings):
    genes = [str(name) for name in run.var.index]
    ours, theirs = made_up(run, settings), made_up(run, settings, rates=False)
    table = driver_table(ours, ENDS[0], methods={"ours": ours, "theirs": theirs})
    assert list(table["Gene"]) == genes
    assert list(table.columns[-5:]) == [*RATES, "Measure", "Methods"]
    assert table["Methods"].tolist() == [2, 2, 2, 0, 0, 0]  # genes that fall drive nothing
    without = driver_table(theirs, ENDS[0], methods={"theirs": theirs})
    assert not set(RATES) & set(without)
    assert set(without["Measure"]) == {"fate"}


def test_a_single_end_is_said_to_be_measured_by_nearness(opened, run, settings):
    found = made_up(run, settings)
    assert SINGLE_END not in words(opened("Drivers"))
    lineages.save(dataclasses.replace(found, drivers=found.drivers.assign(measure="nearness")), run.folder)
    assert SINGLE_END in words(fine(opened("Drivers")))


def test_a_lineage_of_one_group_has_no_way_to_follow(opened, run, settings):
    groups = pd.Series(["A"] * 5 + ["B"] * 3 + ["C"])
    assert is_one_group(groups, pd.Series([1.0] * 5 + [0, 0, np.nan, 0.5]))  # one stray cell
    assert not is_one_group(groups, pd.Series([1.0] * 8 + [0]))
    found = made_up(run, settings)
    alone = (run.obs[run.info.cluster_key].astype(str) == ENDS[0]).to_numpy()
    cells = found.cells.assign(**{f"fate: {ENDS[0]}": np.where(alone, 1.0, np.nan)})
    lineages.save(dataclasses.replace(found, cells=cells), run.folder)
    for view in ("Drivers", "Enrichment"):
        assert "one group" in words(fine(opened(view)))


def test_a_driver_opens_its_phase_portrait(opened, run, settings):
    best = str(run.var.index[-1])
    lineages.save(made_up(run, settings, best=best), run.folder)
    page = opened("Drivers")
    genes = list(page.dataframe[0].value["Gene"])
    assert len(figures(page)) == 2  # with the heat map
    assert (genes[0], shown_gene(page)) == (best, best)
    page.button(key="gene.next").click().run()  # the steps follow the drivers
    assert shown_gene(fine(page)) == genes[1]
    page.session_state["gene"] = genes[-1]  # chosen on another page
    assert shown_gene(fine(page.run())) == genes[-1]
    assert any(button.label == "Open in Phase portraits" for button in page.button)
    assert [button.label for button in page.get("download_button")] == ["Drivers as CSV"]


def test_other_methods_are_offered_and_set_beside(opened, run, queue, settings):
    lineages.save(made_up(run, settings), run.folder)
    other = copy_as(run, "stochastic", base=run.info.run_id)
    page = fine(opened("Drivers"))
    assert "No other method" not in words(page)  # the copy brought the analysis along
    assert "stochastic: 3 of 3 best drivers shared" in words(page)
    for folder in (run.folder.parent / other / "lineages").iterdir():
        (folder / "info.json").unlink()
        folder.rename(folder.with_name("." + folder.name))
    page = fine(opened("Drivers"))
    assert "No other method has this lineage" in words(page)
    fine(press(page, "Analyse the other methods"))
    assert [(job.base, job.lineages) for job in queue.submitted] == [(other, settings)]


def test_table_one_from_the_datas_own_cell_types(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = fine(opened("Enrichment"))
    table = page.dataframe[0].value
    assert list(table["Lineage"]) == ENDS
    assert set(table["Method"]) == {"DeepVelo"}
    assert "Markers" in table
    labels = [button.label for button in page.get("download_button")]
    assert labels == ["Table 1 as CSV", "Analysis as JSON"]
    assert "come from the same cells" in words(page)
    assert "without a branch" not in words(page)  # nothing to agree with


def test_methods_that_end_elsewhere_keep_their_rows_and_are_said(run, settings):
    ours = made_up(run, settings)
    theirs = ours.drivers.replace({"lineage": {ENDS[1]: "OPC"}})
    genes = [str(name) for name in run.var.index]
    table = table_one({"DeepVelo": ours.drivers, "dynamical": theirs}, tfs=genes[:2], top=5)
    shown = rows_in_words(table).set_index(["Lineage", "Method"])
    assert list(shown.index.get_level_values("Lineage").unique()) == [*ENDS, "OPC"]
    assert shown.loc[(ENDS[1], "dynamical")].tolist() == ["–", "–"]
    assert shown.loc[(ENDS[1], "DeepVelo"), "Transcription factors"].startswith("2 of 3 (p ")
    told = " ".join(notes(table, own_markers=False))
    assert "DeepVelo: Granule mature, Neuroblast. dynamical: Granule mature, OPC." in told
    assert "without a branch" in told


def test_a_list_without_a_match_is_said_by_its_name_and_leaves_the_rest(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = opened("Enrichment")
    box = next(box for box in page.get("file_uploader") if "Transcription" in box.label)
    box.set_value(("factors.txt", b"Hbb\nHba\n", "text/plain")).run()
    (error,) = page.error
    assert error.value.startswith("None of the 2 genes of factors.txt ('Hbb', 'Hba')")
    assert "Markers" in page.dataframe[0].value
    assert "Transcription factors" not in page.dataframe[0].value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"neuron development\tx\tHbb\tHba\n", "None of the 2 genes of sets.gmt ('Hbb', 'Hba')"),
        (b"neuron development\n", "sets.gmt, line 1 is not a gene set"),
    ],
)
def test_gene_sets_that_cannot_be_used_are_said_once(opened, run, settings, content, said):
    """Though words are given that would make some of them relevant."""
    lineages.save(made_up(run, settings), run.folder)
    page = opened("Enrichment")
    next(box for box in page.text_area if box.label.startswith("Keywords")).set_value("synapse")
    box = next(box for box in page.get("file_uploader") if "Gene sets" in box.label)
    box.set_value(("sets.gmt", content, "text/plain")).run()
    assert not page.exception
    (error,) = page.error
    assert error.value.startswith(said)
    assert "Markers" in page.dataframe[0].value


def test_nothing_to_compare_with_is_said(opened, run, settings):
    lineages.save(made_up(run, settings), run.folder)
    page = opened("Enrichment")
    page.radio[0].set_value(NO_MARKERS).run()
    fine(page)
    assert "Choose markers, transcription factors or gene sets" in page.info[0].value


def test_a_library_that_cannot_be_fetched_is_one_sentence(opened, run, settings, monkeypatch):
    from deepvelo.tl.gene_sets import gene_library

    def offline(name: str) -> None:
        raise InputError(f"The library {name} is not on this machine, and there is no network.")

    monkeypatch.setattr(gene_library, "library", offline)
    lineages.save(made_up(run, settings), run.folder)
    page = opened("Enrichment")
    next(box for box in page.text_input if "Enrichr" in box.label).set_value("GO").run()
    assert not page.exception
    assert [error.value for error in page.error] == [
        "The library GO is not on this machine, and there is no network."
    ]
    assert len(page.dataframe) == 1  # the markers' table stays
    monkeypatch.setattr(gene_library, "library", lambda _: pytest.fail("asked again within the minute"))
    page.run()
    assert len(page.error) == 1
