"""``deepvelo lineages``: tables on disk, their sum in the terminal, one sentence for bad input."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from deepvelo import keys
from deepvelo.cli import cli
from deepvelo.io import write_h5ad
from tests.branched import TREE, analysed, branched

TABLES = {"cells.csv", "edges.csv", "drivers.csv", "lineages.json"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fitted") / "branch.h5ad"
    write_h5ad(branched(), path)
    return path


@pytest.fixture
def known(tmp_path):
    """Lists and sets as users have them; the first drivers of branch A are the markers of its tip."""
    first = list(analysed().drivers.query("lineage == 'Tip A'")["gene"])
    texts = {
        "sets.gmt": "\n".join(["\t".join(["Axon growth", "", *first[:8]]), "\t".join(["Glia", "", *first[-8:]])]),
        "markers.txt": "\n".join(first[:4]).upper(),  # another species' spelling
        "by_lineage.gmt": "\n".join(["\t".join(["Tip A", "", *first[:4]]), "\t".join(["Tip B", "", *first[-4:]])]),
        "one_lineage.gmt": "\t".join(["Tip A", "", *first[:4]]),
        "tfs.txt": f"{first[0]}\n{first[-1]}\n",
        "words.txt": "axon\n",
        "other_words.txt": "blood\n",
        "unknown.txt": "Hbb\nHba\n",
        "broken.gmt": "no tabs here\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name.replace(".", "_"): tmp_path / name for name in texts}


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_the_tables_are_those_of_the_analysis(deepvelo, capsys, tmp_path, file):
    out = tmp_path / "new" / "folder"
    assert deepvelo("lineages", file, "--cluster-key", keys.CLUSTERS, "-o", out) == 0
    assert names_in(out) == TABLES
    found = analysed()
    for name, frame in {"cells.csv": found.cells.reset_index(names="cell"), "edges.csv": found.edges,
                        "drivers.csv": found.drivers}.items():  # fmt: skip
        written = pd.read_csv(out / name)
        expected = frame.astype({"macrostate": object}) if "macrostate" in frame else frame
        pd.testing.assert_frame_equal(written, expected, rtol=1e-12, check_dtype=False)
    told = json.loads((out / "lineages.json").read_text(encoding="utf-8"))
    assert told["settings"]["cluster_key"] == keys.CLUSTERS
    assert (told["root"], told["last_groups"], told["lineages"]) == (
        "Root",
        ["Tip A", "Tip B"],
        ["Tip A", "Tip B"],
    )
    assert {(edge["source"], edge["target"]) for edge in told["edges"]} == TREE

    printed = capsys.readouterr()
    words = " ".join(printed.out.split())
    assert "200 cells, groups 'clusters'; root Root; 2 lineages: 'Tip A', 'Tip B'" in words
    best = ", ".join(found.drivers.query("lineage == 'Tip B'")["gene"][:10])
    assert f"Drivers of Tip B: {best}" in words
    for source, target in TREE:
        assert f" {source} {target} 0." in words
    assert "Table 1" not in printed.out
    assert "Wrote 'cells.csv'" in printed.err


def test_the_grouping_of_the_fit_is_taken_and_ends_by_hand(deepvelo, tmp_path, file):
    assert deepvelo("lineages", file, "-o", tmp_path, "--root", "Root", "--terminal", "Tip B, Early A") == 0
    told = json.loads((tmp_path / "lineages.json").read_text(encoding="utf-8"))
    assert told["settings"]["cluster_key"] == keys.CLUSTERS
    assert told["settings"]["terminal"] == ["Early A", "Tip B"]
    assert told["lineages"] == ["Early A", "Tip B"]
    assert set(pd.read_csv(tmp_path / "drivers.csv")["lineage"]) == {"Early A", "Tip B"}


def test_ends_may_be_repeated(deepvelo, tmp_path, file):
    assert deepvelo("lineages", file, "-o", tmp_path, "--terminal", "Tip B", "--terminal", "Early A") == 0
    told = json.loads((tmp_path / "lineages.json").read_text(encoding="utf-8"))
    assert told["lineages"] == ["Early A", "Tip B"]


def test_table_one_from_lists_and_sets(deepvelo, capsys, tmp_path, file, known):
    out = tmp_path / "out"
    options = ("--gmt", known["sets_gmt"], "--relevant", known["words_txt"], "--markers", known["markers_txt"],
               "--tfs", known["tfs_txt"], "--top", 10)  # fmt: skip
    assert deepvelo("lineages", file, "-o", out, *options) == 0
    assert names_in(out) == TABLES | {"table_one.csv", "enrichment.csv"}
    rows = pd.read_csv(out / "table_one.csv").set_index("lineage")
    assert rows.loc["Tip A", ["run", "drivers", "markers", "tfs"]].tolist() == ["branch", 10, 4, 1]
    assert rows.loc["Tip A", "markers_share"] == pytest.approx(0.4)
    assert rows.loc["Tip A", "markers_tested"] == 1
    assert rows.loc["Tip A", ["enriched", "relevant", "relevance"]].tolist() == [1, 1, 1]
    pathways = pd.read_csv(out / "enrichment.csv").query("lineage == 'Tip A'").set_index("term")
    assert pathways.loc["Axon growth", ["overlap", "size", "relevant"]].tolist() == [8, 8, True]
    told = json.loads((out / "lineages.json").read_text(encoding="utf-8"))["table_one"]
    assert (told["top"], told["keywords"]) == (10, ["axon"])
    assert told["rows"][0]["markers"] == 4
    assert "Table 1:" in capsys.readouterr().out


def test_markers_may_be_given_by_lineage(deepvelo, tmp_path, file, known):
    out = tmp_path / "out"
    assert deepvelo("lineages", file, "-o", out, "--markers", known["by_lineage_gmt"], "--top", 5) == 0
    rows = pd.read_csv(out / "table_one.csv").set_index("lineage")
    assert rows.loc["Tip A", "markers"] == 4
    last_of_a = set(list(analysed().drivers.query("lineage == 'Tip A'")["gene"])[-4:])
    first_of_b = set(list(analysed().drivers.query("lineage == 'Tip B'")["gene"])[:5])
    assert rows.loc["Tip B", "markers"] == len(last_of_a & first_of_b)
    assert names_in(out) == TABLES | {"table_one.csv"}


def test_a_lineage_without_a_list_of_markers_has_a_dash(deepvelo, capsys, tmp_path, file, known):
    out = tmp_path / "out"
    assert deepvelo("lineages", file, "-o", out, "--markers", known["one_lineage_gmt"], "--top", 5) == 0
    rows = pd.read_csv(out / "table_one.csv").set_index("lineage")
    assert rows.loc["Tip A", "markers"] == 4
    assert rows.loc["Tip B", "drivers"] == 5
    assert pd.isna(rows.loc["Tip B", "markers"])
    told = json.loads((out / "lineages.json").read_text(encoding="utf-8"))["table_one"]
    assert told["rows"][1]["markers"] is None
    assert told["ends"] == {"branch": ["Tip A", "Tip B"]}
    assert "–" in capsys.readouterr().out.split("Table 1:")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--root", "Stem"], "There is no group 'Stem', chosen as root, in these data. Found"),
        (["--terminal", "Tip A,Tip C"], "There is no group 'Tip C', chosen as terminal state, in these data"),
        (["--cluster-key", "types"], "no grouping 'types'"),
        (["--seed", "-1"], "`seed` should be greater than or equal to 0. Got -1"),
        (["--gmt", "{sets_gmt}", "--library", "GO_2023"], "come from a file or a library"),
        (["--relevant", "{words_txt}"], "Give --gmt or --library"),
        (["--gmt", "{sets_gmt}", "--relevant", "{other_words_txt}"], "matches a keyword ('blood')"),
        (["--gmt", "{broken_gmt}"], "broken.gmt, line 1 is not a gene set"),
        (["--markers", "nowhere.txt"], "nowhere.txt"),
        (["--markers", "{unknown_txt}"], "None of the 2 genes"),
        (["--markers", "{markers_txt}", "--top", "0"], "--top must be 1 or more. Got 0"),
        (["-o", "{tfs_txt}/tables"], "tfs.txt is a file"),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_no_folder(
    deepvelo, monkeypatch, capfd, tmp_path, file, known, options, message
):
    monkeypatch.chdir(tmp_path)
    before = names_in(tmp_path)
    filled = [option.format(**known) for option in options]
    assert deepvelo("lineages", file, "-o", "out", *filled) == 2
    error = capfd.readouterr().err.strip()
    assert error.startswith("Error: ")
    assert message in error
    assert "\n" not in error
    assert names_in(tmp_path) == before


def test_a_file_that_is_missing_or_not_fitted(deepvelo, capfd, tmp_path, file):
    cells = branched()
    del cells.uns[keys.VELOCITY_GRAPH], cells.layers[keys.VELOCITY]
    unfitted = tmp_path / "unfitted.h5ad"
    write_h5ad(cells, unfitted)
    for source, message in (
        (tmp_path / "none.h5ad", "There is no file"),
        (unfitted, "the velocity graph of a fit"),
    ):
        assert deepvelo("lineages", source, "-o", tmp_path / "out") == 2
        error = capfd.readouterr().err.strip()
        assert error.startswith("Error: ")
        assert message in error
        assert "\n" not in error
    assert names_in(tmp_path) == {"unfitted.h5ad"}


@pytest.mark.parametrize("option", ["--markers", "--tfs", "--gmt"])
def test_a_list_without_a_gene_of_the_data_is_refused_before_the_analysis(
    deepvelo, monkeypatch, capfd, tmp_path, file, option
):
    def analyse(*args, **kwargs):
        pytest.fail("the lists were looked at after the analysis")

    monkeypatch.setattr("deepvelo.lineages.analyse", analyse)
    unknown = tmp_path / f"unknown{option}.gmt"
    unknown.write_text("Blood\t\tHbb\tHba\n")
    if option == "--tfs":
        unknown.write_text("Hbb\nHba\n")
    assert deepvelo("lineages", file, "-o", tmp_path / "out", option, unknown) == 2
    assert f"None of the 2 genes of {unknown} ('Hbb', 'Hba')" in capfd.readouterr().err


def test_an_earlier_folder_keeps_what_it_has_when_something_is_wrong(deepvelo, tmp_path, file):
    assert deepvelo("lineages", file, "-o", tmp_path) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert deepvelo("lineages", file, "-o", tmp_path, "--root", "Stem") == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_help_names_every_option():
    told = CliRunner().invoke(cli, ["lineages", "--help"], env={"COLUMNS": "200"}).output
    for option in (
        "--cluster-key",
        "--root",
        "--terminal",
        "--gmt",
        "--library",
        "--markers",
        "--tfs",
        "--relevant",
    ):
        assert option in told  # fmt: skip
