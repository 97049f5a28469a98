"""Over-representation, against numbers worked out by hand and gseapy's own answer."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.enrichment import COLUMNS, is_relevant, over_representation, share_in_sets

TESTED = [f"Gene{n}" for n in range(20)]


def test_p_is_the_hypergeometric_tail_by_hand():
    # 20 tested, 5 given, a set of 4 of them tested: 3 or more hits
    sets = {"A": ["GENE0", "GENE1", "GENE2", "GENE10", "NOT_TESTED"], "B": TESTED[12:16]}
    table = over_representation(TESTED[:5], sets, background=TESTED)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 1  # B is not hit
    row = table.iloc[0]
    ways = comb(4, 3) * comb(16, 2) + comb(4, 4) * comb(16, 1)
    assert (row["term"], row["overlap"], row["size"], row["genes"]) == ("A", 3, 4, "Gene0;Gene1;Gene2")
    assert row["p"] == pytest.approx(ways / comb(20, 5))
    assert row["odds_ratio"] == pytest.approx((3.5 * 14.5) / (1.5 * 2.5))
    assert row["q"] == pytest.approx(
        2 * ways / comb(20, 5)
    )  # two sets were tested, also the one without a hit


@pytest.fixture
def many():
    rng = np.random.default_rng(0)
    tested = [f"Gene{n}" for n in range(300)]
    drivers = [f"Gene{n}" for n in range(50)]
    sets = {f"random {n}": list(rng.choice(tested, rng.integers(30, 60), replace=False)) for n in range(40)}
    sets["planted"] = drivers[:15] + tested[290:]
    return tested, drivers, sets


def test_it_agrees_with_gseapy(many):
    import gseapy

    tested, drivers, sets = many
    found = over_representation(drivers, sets, background=tested).set_index("term")
    theirs = gseapy.enrich(drivers, sets, background=tested, outdir=None, no_plot=True).results
    theirs = theirs.set_index("Term").loc[found.index]
    assert len(found) == len(sets)  # every set is hit; only then gseapy corrects for all of them
    for ours, name in (("p", "P-value"), ("q", "Adjusted P-value"), ("odds_ratio", "Odds Ratio")):
        assert found[ours].tolist() == pytest.approx(theirs[name].tolist())
    assert [f"{row.overlap}/{row.size}" for row in found.itertuples()] == theirs["Overlap"].tolist()
    assert [set(genes.split(";")) for genes in found["genes"]] == [
        set(genes.split(";")) for genes in theirs["Genes"]
    ]


def test_the_planted_set_is_first_and_chance_is_called_chance(many):
    tested, drivers, sets = many
    table = over_representation(drivers, sets, background=tested)
    assert table["term"][0] == "planted"
    assert table["q"][0] < 0.001
    rng = np.random.default_rng(1)
    drawn = {f"random {n}": list(rng.choice(tested, 40, replace=False)) for n in range(1000)}
    by_chance = over_representation(drivers, drawn, background=tested)
    # p is discrete, so that at most, not exactly, 5% of the sets are below 0.05
    assert 0.02 < (by_chance["p"] < 0.05).sum() / 1000 <= 0.06
    assert (by_chance["q"] < 0.05).sum() == 0


def test_case_does_not_matter_and_repeats_do_not_count(many):
    tested, drivers, sets = many
    shouted = {name: [gene.upper() for gene in genes] + list(genes) for name, genes in sets.items()}
    again = over_representation(
        [gene.lower() for gene in drivers] * 2, shouted, background=[*tested, *tested]
    )
    assert again.equals(over_representation(drivers, sets, background=tested))


def test_background_decides(many):
    # the same drivers and sets are no news where only genes of the set were tested
    _, drivers, sets = many
    alone = over_representation(drivers[:10], {"planted": sets["planted"]}, background=sets["planted"])
    assert alone["p"][0] == 1


def test_sizes_are_of_the_tested_genes():
    sets = {"tiny": [*TESTED[:2], "X1", "X2"], "fits": TESTED[:4], "huge": TESTED}
    found = over_representation(TESTED[:5], sets, background=TESTED, max_size=10)
    assert found["term"].tolist() == ["fits"]
    found = over_representation(TESTED[:5], sets, background=TESTED, min_size=2)
    assert set(found["term"]) == set(sets)
    with pytest.raises(InputError, match=r"None of the 3 gene sets has 5 to 10 tested genes.*from 2 to 20"):
        over_representation(TESTED[:5], sets, background=TESTED, min_size=5, max_size=10)


def test_nothing_hit_is_an_empty_table():
    found = over_representation(TESTED[:3], {"A": TESTED[5:9]}, background=TESTED)
    assert list(found.columns) == list(COLUMNS)
    assert found.empty


def test_no_match_names_the_side_that_does_not_fit():
    with pytest.raises(InputError, match=r"None of the 1 gene of the list \('ENSG1'\)"):
        over_representation(["ENSG1"], {"A": TESTED}, background=TESTED)
    with pytest.raises(InputError, match=r"None of the 2 genes of the gene sets \('ENSG1', 'ENSG2'\)"):
        over_representation(TESTED[:3], {"A": ["ENSG1"], "B": ["ENSG2"]}, background=TESTED)


def test_share_of_the_tested_genes_that_the_sets_know():
    assert share_in_sets({"A": ["GENE0", "GENE1"], "B": ["gene1", "HBB"]}, tested=TESTED) == 0.1


def test_keywords_count_from_the_start_of_a_word():
    terms = [
        "GOBP_NEUROGENESIS",
        "Axon guidance (GO:0007411)",
        "internal signal",
        "mRNA-binding",
        "RNA binding",
    ]
    assert is_relevant(terms, keywords=["neuro"]).tolist() == [True, False, False, False, False]
    assert is_relevant(terms, keywords=["rna"]).tolist() == [False, False, False, False, True]
    assert is_relevant(terms, keywords=["AXON_guid", "internal"]).tolist() == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert is_relevant(terms, keywords=[terms[1]]).tolist() == [False, True, False, False, False]
    assert is_relevant([], keywords=["neuro"]).tolist() == []


@pytest.mark.parametrize("keywords", [[], ["", " - "]])
def test_no_keyword_is_not_every_term(keywords):
    with pytest.raises(InputError, match="letter or digit"):
        is_relevant(["RNA binding"], keywords=keywords)
