"""Lists of drivers beside each other, counted by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.tl.lineage.driver_lists import driver_enrichment, driver_overlap, driver_support, top_drivers


def table(**lineages: str) -> pd.DataFrame:
    """Genes of one letter each, best first, all rising: ``table(Left="abcd")``."""
    parts = []
    for lineage, genes in lineages.items():
        values = np.linspace(0.9, 0.1, len(genes))
        parts.append(
            pd.DataFrame(
                {
                    "lineage": lineage,
                    "gene": list(genes),
                    "rank": range(1, len(genes) + 1),
                    "correlation": values,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_common_drivers_are_counted_against_chance():
    (row,) = driver_overlap(table(Left="abcdef"), table(Left="cabfed"), top=2).to_dict("records")
    assert (row["n_tested"], row["top"], row["n_common"], row["genes"]) == (6, 2, 1, ["a"])
    assert row["share"] == 0.5
    assert row["expected"] == pytest.approx(2 * 2 / 6)
    assert row["p"] == pytest.approx(1 - comb(4, 2) / comb(6, 2))


def test_genes_of_one_run_only_are_left_out_of_the_overlap():
    (row,) = driver_overlap(table(Left="xyab"), table(Left="abz"), top=2).to_dict("records")
    assert (row["n_tested"], row["n_common"], row["genes"]) == (2, 2, ["a", "b"])


def test_lineages_of_one_run_only_have_no_overlap():
    found = driver_overlap(table(Left="ab", Right="ab"), table(Right="ba", Third="ab"))
    assert list(found["lineage"]) == ["Right"]
    assert found.loc[0, "top"] == 2
    none = driver_overlap(table(Left="ab"), table(Right="ab"))
    assert none.empty
    assert "share" in none


def test_a_gene_without_correlation_is_not_tested():
    first = table(Left="abc")
    first.loc[2, "correlation"] = np.nan
    assert driver_overlap(first, table(Left="cba"), top=2).loc[0, "n_tested"] == 2


def test_genes_that_fall_along_the_lineage_drive_nothing():
    first, second = table(Left="abcd"), table(Left="abdc")
    first.loc[2:, "correlation"] = [-0.1, -0.5]
    assert list(top_drivers(first, "Left", top=3)["gene"]) == ["a", "b"]
    (row,) = driver_overlap(first, second, top=3).to_dict("records")
    assert (row["top"], row["n_common"], row["n_tested"]) == (2, 2, 4)
    assert row["expected"] == pytest.approx(2 * 3 / 4)
    assert row["p"] == pytest.approx(comb(3, 2) / comb(4, 2))
    first["correlation"] = -0.1
    assert driver_overlap(first, second).empty
    assert list(driver_support({"one": first, "two": second}, top=2)["gene"]) == ["a", "b"]


def test_support_counts_the_runs():
    found = driver_support(
        {
            "deepvelo": table(Right="ab", Left="abc"),
            "dynamical": table(Left="bca"),
            "stochastic": table(Left="cab"),
        },
        top=2,
    )
    left = found[found["lineage"] == "Left"].set_index("gene")
    assert list(found["lineage"])[:2] == ["Right", "Right"]  # in the order they come in
    assert left["n_methods"].to_dict() == {"a": 2, "b": 2, "c": 2}
    assert left.loc["a", "methods"] == ["deepvelo", "stochastic"]
    assert left["mean_rank"].to_dict() == {"a": 1.5, "b": 1.5, "c": 1.5}


def test_the_best_supported_come_first():
    found = driver_support({"one": table(Left="abc"), "two": table(Left="bdc")}, top=2)
    assert list(found["gene"]) == ["b", "a", "d"]


def test_enrichment_is_fishers_exact_test():
    found = driver_enrichment(table(Left="abcdefgh"), lineage="Left", genes={"a", "B", "h", "zz"}, top=3)
    assert (found.n_expected, found.n_found) == (3, 2)
    assert found.odds_ratio == pytest.approx((2 * 4) / (1 * 1))
    assert found.p == pytest.approx((comb(3, 2) * comb(5, 1) + 1) / comb(8, 3))


def test_enrichment_of_a_lineage_that_is_not_there():
    with pytest.raises(InputError, match=r"no drivers of 'Up'. Found the lineages 'Left', 'Right'"):
        driver_enrichment(table(Left="ab", Right="ab"), lineage="Up", genes={"a"})


@pytest.mark.parametrize("function", [driver_overlap, lambda a, b, top: driver_support({"a": a}, top=top)])
def test_top_must_be_one_or_more(function):
    with pytest.raises(InputError, match=r"`top` must be 1 or more. Got 0"):
        function(table(Left="ab"), table(Left="ab"), top=0)
