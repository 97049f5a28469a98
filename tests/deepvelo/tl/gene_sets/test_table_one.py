"""Table 1 of made-up drivers, each figure counted by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.table_one import joined, table_one

GENES = [f"Gene{n}" for n in range(20)]
SETS = {
    "Neurogenesis": GENES[:4],  # all among the first five
    "Cell cycle": GENES[1:5],  # all among the first five
    "Myelination": GENES[15:19],
}


def made_up(order_by_lineage, *, n_up=10):
    """Drivers with the genes in a given order; the correlation of the first ``n_up`` is above 0."""
    tables = []
    for lineage, order in order_by_lineage.items():
        correlation = np.r_[np.linspace(0.9, 0.1, n_up), np.linspace(-0.1, -0.9, len(order) - n_up)]
        ranks = np.arange(1.0, len(order) + 1)
        table = pd.DataFrame({"lineage": lineage, "gene": order, "correlation": correlation, "rank": ranks})
        tables.append(table.sample(frac=1, random_state=0))  # rows in no order
    return pd.concat(tables, ignore_index=True).assign(q=0.01)


@pytest.fixture
def drivers():
    return {
        "DeepVelo": made_up({"Granule": GENES, "OPC": GENES[::-1]}),
        "dynamical": made_up({"Granule": GENES[5:] + GENES[:5], "OPC": GENES[::-1], "Mossy": GENES}),
    }


def row_of(table, lineage, run):
    return table.rows.set_index(["lineage", "run"]).loc[(lineage, run)]


def test_overlap_is_counted_among_the_top_drivers(drivers):
    found = table_one(drivers, markers=["GENE0", "gene1", "Gene9", "HBB"], tfs=["Gene6"], top=5)
    assert found.rows[["lineage", "run"]].to_numpy().tolist() == [
        ["Granule", "DeepVelo"], ["Granule", "dynamical"], ["OPC", "DeepVelo"], ["OPC", "dynamical"],
        ["Mossy", "DeepVelo"], ["Mossy", "dynamical"],
    ]  # fmt: skip
    ours, theirs = row_of(found, "Granule", "DeepVelo"), row_of(found, "Granule", "dynamical")
    assert (ours["tested"], ours["drivers"], ours["markers"], ours["markers_share"]) == (20, 5, 2, 0.4)
    assert ours["markers_genes"] == "Gene0;Gene1"
    assert ours["markers_tested"] == 0.75  # HBB was not
    # 5 of 20 drawn, 3 markers: two or three of them
    assert ours["markers_p"] == pytest.approx((3 * comb(17, 3) + comb(17, 2)) / comb(20, 5))
    assert (ours["tfs"], theirs["tfs"], theirs["tfs_share"]) == (0, 1, 0.2)
    assert ours["tfs_p"] == 1
    assert theirs["markers_genes"] == "Gene9"
    assert found.pathways is None
    assert "enriched" not in found.rows


def test_relevance_is_the_share_of_enriched_pathways_that_a_keyword_names(drivers):
    found = table_one(drivers, lineages=["Granule"], sets=SETS, keywords=["neuro"], top=5)
    ours, theirs = row_of(found, "Granule", "DeepVelo"), row_of(found, "Granule", "dynamical")
    p = comb(5, 4) / comb(20, 4)  # all four genes of the set among five of 20
    tested = found.pathways.query("run == 'DeepVelo'").set_index("term")
    assert tested.loc["Neurogenesis", "p"] == pytest.approx(p)
    assert tested.loc["Neurogenesis", "q"] == pytest.approx(3 * p / 2)  # two such sets among three
    assert (ours["enriched"], ours["relevant"], ours["relevance"]) == (2, 1, 0.5)
    assert ours["in_sets"] == pytest.approx(9 / 20)
    assert (theirs["enriched"], theirs["relevant"]) == (0, 0)
    assert pd.isna(theirs["relevance"])  # of nothing there is no share
    assert (found.keywords, found.q, found.top) == (("neuro",), 0.05, 5)
    assert set(found.pathways.columns) == {
        "lineage", "run", "term", "overlap", "size", "odds_ratio", "p", "q", "genes", "relevant",
    }  # fmt: skip


def test_the_threshold_is_the_callers(drivers):
    strict = table_one(drivers, lineages=["Granule"], sets=SETS, top=5, q=0.001)
    assert strict.rows["enriched"].tolist() == [0, 0]
    assert "relevance" not in strict.rows


def test_a_gene_that_falls_along_the_lineage_is_no_driver(drivers):
    found = table_one(drivers, markers=GENES, top=100)
    assert found.rows["drivers"].dropna().tolist() == [10] * 5
    assert found.rows["tested"].dropna().tolist() == [20] * 5


def test_each_run_has_its_own_tested_genes(drivers):
    granule = drivers["dynamical"]["lineage"] == "Granule"
    late = drivers["dynamical"]["rank"] > 8
    drivers["dynamical"].loc[granule & late, ["rank", "correlation"]] = np.nan
    found = table_one(drivers, lineages=["Granule"], markers=GENES[:8], top=5)
    assert found.rows["tested"].tolist() == [20, 8]
    # Gene5 to Gene12 were tested, Gene5 to Gene9 are the drivers: three of the eight markers could be found, and were
    theirs = row_of(found, "Granule", "dynamical")
    assert (theirs["markers"], theirs["markers_tested"]) == (3, 3 / 8)
    assert theirs["markers_p"] == pytest.approx(comb(5, 2) / comb(8, 5))


def test_markers_by_lineage(drivers):
    markers = {"Granule": GENES[:3], "OPC": GENES[-2:]}
    found = table_one(drivers, markers=markers, top=5)
    assert found.rows["markers"].tolist() == [3, 0, 2, 2, pd.NA, pd.NA]
    # a lineage without a list has its drivers counted all the same
    assert row_of(found, "Mossy", "dynamical")[["tested", "drivers"]].tolist() == [20, 5]
    with pytest.raises(
        InputError, match=r"No markers are given for 'Granule', 'OPC', 'Mossy'\. Name the sets"
    ):
        table_one(drivers, markers={"Granule cells": GENES})


def test_a_run_that_ends_elsewhere_keeps_its_rows_and_lacks_the_others(drivers):
    found = table_one(drivers, tfs=["Gene6"], sets=SETS, keywords=["neuro"], top=5)
    assert len(found.rows) == 6
    absent = row_of(found, "Mossy", "DeepVelo")
    assert absent.isna().all()
    there = row_of(found, "Mossy", "dynamical")
    assert (there["tested"], there["tfs"], there["enriched"], there["relevance"]) == (20, 0, 2, 0.5)
    assert found.ends == {"DeepVelo": ("Granule", "OPC"), "dynamical": ("Granule", "OPC", "Mossy")}
    nothing_in_common = table_one({"a": made_up({"Granule": GENES}), "b": made_up({"OPC": GENES})}, tfs=GENES)
    assert nothing_in_common.rows["tfs"].tolist() == [10, pd.NA, pd.NA, 10]


def test_a_lineage_along_which_no_gene_rises_has_no_drivers(drivers):
    flat = made_up({"Granule": GENES, "OPC": GENES})
    flat.loc[flat["lineage"] == "OPC", "correlation"] = -0.5
    found = table_one({"a": flat}, tfs=GENES)
    assert found.rows["drivers"].tolist() == [10, 0]
    assert found.rows["tfs"].tolist() == [10, pd.NA]


def test_answers_asked_one_by_one_are_those_asked_at_once(drivers):
    questions = ({"markers": GENES[:3]}, {"tfs": ["Gene6"]}, {"sets": SETS, "keywords": ["neuro"]})
    together = table_one(
        drivers, **{name: value for each in questions for name, value in each.items()}, top=5
    )
    one_by_one = joined([table_one(drivers, **question, top=5) for question in questions])
    pd.testing.assert_frame_equal(one_by_one.rows, together.rows)
    pd.testing.assert_frame_equal(one_by_one.pathways, together.pathways)
    assert one_by_one.keywords == ("neuro",)


def test_one_run_or_three_have_a_table_too(drivers):
    alone = table_one({"dynamical": drivers["dynamical"]}, tfs=["Gene6"])
    assert alone.rows["lineage"].tolist() == ["Granule", "OPC", "Mossy"]
    three = table_one(drivers | {"third": drivers["DeepVelo"]}, tfs=["Gene6"])
    assert len(three.rows) == 9


def test_lists_that_no_run_knows(drivers):
    with pytest.raises(
        InputError, match=r"None of the 2 genes of the transcription factors \('SOX2', 'PAX6'"
    ):
        table_one(drivers, tfs=["SOX2", "PAX6"])
    with pytest.raises(InputError, match="None of the 1 gene of the markers"):
        table_one(drivers, markers={"Granule": ["PAX6"], "OPC": ["SOX2"]})
    # the others' answers stay
    partly = table_one(drivers, markers={"Granule": GENES[:3], "OPC": ["SOX2"]}, top=5)
    assert partly.rows["markers"].tolist() == [3, 0, 0, 0, pd.NA, pd.NA]
    assert partly.rows["markers_tested"].tolist()[2:4] == [0, 0]
    # a group that has no markers is not a list in the wrong spelling
    empty = table_one(drivers, markers={"Granule": GENES[:3], "OPC": []}, top=5)
    assert empty.rows["markers"].tolist() == [3, 0, 0, 0, pd.NA, pd.NA]


def test_what_cannot_be_answered_is_said(drivers):
    with pytest.raises(InputError, match="something to compare the drivers with"):
        table_one(drivers)
    with pytest.raises(InputError, match=r"`top` must be 1 or more\. Got 0"):
        table_one(drivers, tfs=GENES, top=0)
    with pytest.raises(InputError, match=r"Keywords \('neuro'\) need pathways"):
        table_one(drivers, tfs=GENES, keywords=["neuro"])
    with pytest.raises(InputError, match=r"None of the 3 gene sets matches a keyword.*'Neurogenesis'"):
        table_one(drivers, sets=SETS, keywords=["kidney"])
    with pytest.raises(
        InputError, match=r"No run has a lineage 'Astrocytes'. Found DeepVelo: 'Granule', 'OPC';"
    ):
        table_one(drivers, lineages=["Astrocytes"], tfs=GENES)
    with pytest.raises(InputError, match="No gene correlates positively with 'Granule' in any run"):
        table_one({"a": made_up({"Granule": GENES}, n_up=0)}, tfs=GENES)
