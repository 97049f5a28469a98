"""Genes found under any of their names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.contents.genes import GeneIndex, gene_aliases, same_genes


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (["GRCh38_ACTB", "mm10___Actb"], ["ACTB", "Actb"], ["GRCh38_ACTB", "mm10___Actb"]),
        (["GRCh38-ACTB", "mm10---Gene1", "EGFP"], ["actb", "GENE1"], ["GRCh38-ACTB", "mm10---Gene1"]),
        (["human:ACTB", "human:CPE", "pig:ACTB", "pig:CPE"], ["ACTB", "cpe"], ["human:ACTB", "human:CPE"]),
        (["hg38_ENSG00000000003.15"], ["ENSG00000000003"], ["hg38_ENSG00000000003.15"]),
        (["ENSG00000000003"], ["ENSG00000000003.7"], ["ENSG00000000003"]),
        (["Gene0.3", "Gene1.1"], ["gene1"], ["Gene1.1"]),
        (["Actb"], ["GRCh38_ACTB"], ["Actb"]),
        ([" Actb", "Xist "], ["Actb", "Xist"], [" Actb", "Xist "]),
        (["ENSG00000000003_TSPAN6", "ENSG00000000005.6_TNMD"], ["TNMD"], ["ENSG00000000005.6_TNMD"]),
        (["Gnai3|ENSMUSG00000000001.5"], ["Gnai3"], ["Gnai3|ENSMUSG00000000001.5"]),
        (["Gnai3 (ENSMUSG00000000001)"], ["GNAI3"], ["Gnai3 (ENSMUSG00000000001)"]),
    ],
)
def test_versions_and_species_prefixes_do_not_matter(names, wanted, found):
    assert list(GeneIndex(names).match(wanted).matched) == found


@pytest.mark.parametrize(
    ("names", "gene"),
    [
        (["AC245140.2", "Cpe"], "AC245140.1"),  # clones: each number is a gene of its own
        (["HLA-A", "Cpe", "Actb"], "A"),
        (["Gene_1", "Gene_2"], "1"),
    ],
)
def test_what_looks_like_a_prefix_or_a_version_may_be_part_of_the_name(names, gene):
    assert GeneIndex(names).find(gene) is None


def test_the_very_spelling_goes_before_an_alias_and_an_alias_before_another_case():
    index = GeneIndex(["Sox2", "TP53", "a1"], aliases={"TP53": "Sox2", "A1": "Sox2"})
    assert [index.find(name) for name in ("TP53", "A1", "a1", "tp53")] == ["TP53", "Sox2", "a1", "TP53"]


def test_aliases_are_the_names_in_columns_and_nothing_else():
    var = pd.DataFrame(
        {
            "gene_ids": pd.Categorical([f"ENSG{i:011d}.1" for i in range(4)]),
            "entrez_id": [7157.0, 2.0, np.nan, 9.0],
            "length": [5, 6, 7, 8],
            "chromosome": ["1", "1", "1", "X"],
            "highly_variable": [True, False, True, True],
        },
        index=["Tp53", "A2m", "Nat1", "Nat2"],
    )
    aliases = gene_aliases(var)
    assert aliases["7157"] == "Tp53"
    assert aliases["ENSG00000000003.1"] == "Nat2"
    assert len(aliases) == 7
    index = GeneIndex(var.index, aliases=aliases)
    assert index.match(["ensg00000000000", "7157", "nat2"]).matched == ("Tp53", "Nat2")
    assert index.spelled(["ENSG00000000001", "Cpe", "A2M"]) == ("A2m", "Cpe")


def test_genes_of_two_objects_are_matched_by_any_name():
    first = pd.DataFrame({"gene_ids": [f"ENSG0000000000{i}" for i in range(4)]}, index=["A", "B", "c", "D"])
    by_id = pd.DataFrame(index=["ENSG00000000003.2", "ENSG00000000000.1", "ENSG00000000009.1"])
    by_name = pd.DataFrame(index=["C", "B", "mm10_a", "E"])
    assert same_genes(first, by_id).tolist() == [3, 0, -1]
    assert same_genes(first, by_name).tolist() == [2, 1, 0, -1]
    assert same_genes(first, first.iloc[::-1]).tolist() == [3, 2, 1, 0]


def test_a_name_of_several_genes_matches_none_of_them():
    first = pd.DataFrame({"symbol": ["X", "X", *"ZVWYTU"]}, index=[f"e{i}" for i in range(8)])
    second = pd.DataFrame(index=["X", "Z", "z"])
    assert same_genes(first, second).tolist() == [-1, 2, -1]
