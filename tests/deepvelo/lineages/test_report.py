"""Reports: every table whole, undefined values null, and nothing where nothing can be written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.lineages import to_json, write_tables
from deepvelo.lineages.settings import to_dict
from deepvelo.tl.gene_sets.table_one import TableOne, table_one
from tests.branched import TREE, analysed

BASE = ["cells.csv", "edges.csv", "drivers.csv"]


@pytest.fixture
def compared() -> TableOne:
    """Table 1 with a lineage that no gene set is enriched in, so without a relevance."""
    drivers = analysed().drivers
    first = list(drivers.query("lineage == 'Tip A'")["gene"])
    sets = {"Axon": first[:8], "Glia": first[20:28]}
    return table_one({"branch": drivers}, sets=sets, markers=first[:3], keywords=["axon"], top=8)


def test_files_are_named_and_hold_the_tables(tmp_path, compared):
    assert write_tables(analysed(), tmp_path) == [*BASE, "lineages.json"]
    names = write_tables(analysed(), tmp_path, table_one=compared)
    assert names == [*BASE, "table_one.csv", "enrichment.csv", "lineages.json"]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    cells = pd.read_csv(tmp_path / "cells.csv", index_col="cell")
    for column in ("pseudotime", "latent_time", "fate: Tip A"):
        np.testing.assert_allclose(cells[column], analysed().cells[column], rtol=1e-12)
    states = cells["macrostate"].dropna()
    assert states.to_dict() == analysed().cells["macrostate"].dropna().astype(str).to_dict()
    pathways = pd.read_csv(tmp_path / "enrichment.csv")
    assert pathways.set_index(["lineage", "term"]).loc[("Tip A", "Axon"), "overlap"] == 8


def test_without_gene_sets_there_is_no_enrichment(tmp_path):
    found = analysed()
    compared = table_one({"branch": found.drivers}, tfs=list(found.drivers["gene"][:3]))
    assert write_tables(found, tmp_path, table_one=compared) == [*BASE, "table_one.csv", "lineages.json"]


def test_json_says_what_was_chosen_and_found(compared):
    noted = replace(analysed(), warnings=("Größe − unknown.",))
    told = json.loads(to_json(noted, table_one=compared))
    assert told["program"].startswith("deepvelo-explorer ")
    assert told["settings"] == to_dict(noted.settings)
    assert (told["root"], told["last_groups"], told["lineages"]) == (
        "Root",
        ["Tip A", "Tip B"],
        ["Tip A", "Tip B"],
    )
    assert {(edge["source"], edge["target"]) for edge in told["edges"]} == TREE
    assert told["edges"][0]["confidence"] == noted.edges["confidence"][0]
    assert told["warnings"] == ["Größe − unknown."]
    assert told["table_one"]["keywords"] == ["axon"]
    assert "table_one" not in json.loads(to_json(noted))


def test_what_is_not_defined_is_null(compared):
    rows = compared.rows.set_index("lineage")
    assert np.isnan(rows.loc["Tip B", "relevance"])  # none of its sets is enriched

    def no_constant(name):
        pytest.fail(f"{name} is no JSON")

    told = json.loads(to_json(analysed(), table_one=compared), parse_constant=no_constant)
    by_lineage = {row["lineage"]: row for row in told["table_one"]["rows"]}
    assert by_lineage["Tip B"]["relevance"] is None
    assert by_lineage["Tip A"]["relevance"] == 1
    assert by_lineage["Tip A"]["markers"] == 3


def test_no_edges_are_an_empty_table(tmp_path):
    write_tables(replace(analysed(), edges=analysed().edges.iloc[:0]), tmp_path)
    assert json.loads((tmp_path / "lineages.json").read_text(encoding="utf-8"))["edges"] == []
    assert list(pd.read_csv(tmp_path / "edges.csv")) == list(analysed().edges)
    assert {"source_cells", "target_cells"} < set(analysed().edges)


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/cells\.csv could not be written") as error:
        write_tables(analysed(), tmp_path / "nowhere")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_table_and_the_earlier_one(tmp_path, monkeypatch):
    write_tables(analysed(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = Path.write_text

    def full(path, text, **options):
        real(path, text[: len(text) // 2], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"could not be written: no space is left"):
        write_tables(replace(analysed(), root="Early A"), tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
