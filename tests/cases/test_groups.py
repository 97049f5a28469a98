"""Groups are found by their names and keep their own colours."""

from __future__ import annotations

import pytest

from tests.cases.bench import Bench, require_agreement, says, texts
from tests.cases.made import groups
from tests.cases.made.every import makers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", makers(groups))
def test_check_run_and_data_page_agree(bench: Bench, case: str) -> None:
    require_agreement(bench, case)


def test_whole_numbers_kept_as_fractions_are_groups(bench: Bench) -> None:
    fit = bench.run("float_clusters").adata
    assert fit.uns["deepvelo"]["cluster_key"] == "leiden"
    given = texts(fit.obs["leiden"])
    assert {name for name in given if name != "unassigned"} - {None} == {"0", "1", "2"}
    assert [i for i, name in enumerate(given) if name in ("unassigned", None)] == [2, 5, 70]
    assert bench.page("float_clusters").groupings == ["leiden"]


def test_more_groups_than_can_be_told_apart_are_counted(bench: Bench) -> None:
    refused = bench.run("many_groups", "--cluster-key", "clusters")
    assert refused.code == 2
    for said in (refused.said, bench.check("many_groups").said, bench.page("many_groups").said):
        assert says(said, "clusters", "130", "100", "merge")
        assert not says(said, "does not sort cells into groups")


def test_edges_of_groups_with_commas_and_arrows_are_scored(bench: Bench) -> None:
    fit = bench.run("group_names")
    edge = "L2/3 IT, deep > CD34+ > CD38"
    compared = bench.evaluate("group_names", "--edges", edge, files=(fit.output,))
    assert compared.report["edges"] == [edge]
    assert compared.methods[0][f"boundary_genes: {edge}"] is not None


@pytest.mark.parametrize(
    ("case", "group"),
    [("group_names", "mature "), ("group_names", "mature"), ("group_trailing_blank", "Mature")],
)
def test_an_end_is_found_with_and_without_a_trailing_blank(bench: Bench, case: str, group: str) -> None:
    found = bench.lineages(case, bench.run(case).output, "--terminal", group)
    assert [name.strip() for name in found.report["lineages"]] == [group.strip()]


def test_an_edge_is_found_without_a_trailing_blank(bench: Bench) -> None:
    fit = bench.run("group_trailing_blank")
    compared = bench.evaluate("group_trailing_blank", "--edges", "Immature > Mature", files=(fit.output,))
    assert compared.methods[0]["boundary_genes"] is not None


def test_colours_of_a_group_that_is_gone_are_dropped(bench: Bench) -> None:
    drawn = bench.page("colors_of_lost_group").group_colors
    assert list(drawn) == ["A", "C", "D"]
    assert not {"#ff0000", "#00ff00", "#0000ff", "#ffff00"} & set(drawn.values())
    assert "clusters_colors" not in bench.run("colors_of_lost_group").adata.uns


def test_one_colour_a_cell_is_the_colour_of_its_group(bench: Bench) -> None:
    theirs = dict(
        zip(("A progenitor", "B immature", "C mature"), ("#f8766d", "#00ba38", "#619cff"), strict=True)
    )
    assert bench.page("colors_per_cell").group_colors == theirs
    assert list(bench.run("colors_per_cell").adata.uns["clusters_colors"]) == list(theirs.values())


def test_codes_in_place_of_names_are_warned_of(bench: Bench) -> None:
    for said in (bench.check("seuratdisk_factor_ints").said, bench.page("seuratdisk_factor_ints").said):
        assert says(said, "celltype", "numbers", "names", "text")
