"""The benchmark of lineages: its scores on made-up answers, and a whole row of a small fit."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from benchmarks import lineages_real, lineages_time
from benchmarks import lineages_scores as scores
from benchmarks.lineages import Plan, Row, measure, score, summary, table
from deepvelo import keys
from deepvelo.datasets.simulation import simulate
from deepvelo.datasets.tissues import TISSUES
from deepvelo.io import read
from deepvelo.lineages import Lineages
from deepvelo.tl.gene_sets.markers import markers_by_group
from tests.branched import analysed, branched

pytestmark = pytest.mark.slow  # whole analyses

BRANCH = TISSUES["branch"]
PATHS = {"Tip A": ["Root", "Branch A"], "Tip B": ["Root", "Branch B"]}
NAMED = {"kind": "branch", "depth": "deep", "seed": 0, "method": "stochastic"}


@pytest.fixture(scope="module")
def truth() -> AnnData:
    """The simulation behind `tests.branched`, with the genes that were fitted."""
    cells = simulate(kind="branch", n_cells=200, n_genes=60, depth=360, seed=0)
    fitted = branched()
    return cells[fitted.obs_names, fitted.var_names].copy()


def row(found: Lineages, truth: AnnData, **changes: object) -> dict[str, object]:
    return asdict(Row(**(NAMED | score(found, truth) | changes)))


def test_tips_are_the_last_groups_of_branches_and_cycles_have_none():
    assert scores.tips(BRANCH) == PATHS
    assert scores.tips(TISSUES["cycle"]) == {}


def test_fates_that_are_the_truth_score_1_and_their_opposite_0():
    lineages = np.repeat(["Root", "Branch A", "Branch B"], 10)
    on_a = np.where(lineages == "Branch A", 1.0, 0.0)
    fates = pd.DataFrame({"Tip A": on_a, "Tip B": 1 - on_a})
    assert scores.fate_auc(fates, lineages, PATHS) == 1
    assert scores.fate_auc(1 - fates, lineages, PATHS) == 0
    assert scores.fate_auc(fates * 0 + 0.5, lineages, PATHS) == 0.5
    before_the_fork = fates.assign(**{"Tip A": np.where(lineages == "Root", 9.0, on_a)})
    assert scores.fate_auc(before_the_fork, lineages, PATHS) == 1


def test_a_tip_that_was_not_found_counts_as_chance():
    lineages = np.repeat(["Branch A", "Branch B"], 10)
    only_a = pd.DataFrame({"Tip A": np.where(lineages == "Branch A", 1.0, 0.0)})
    assert scores.fate_auc(only_a, lineages, PATHS) == 0.75
    assert scores.fate_auc(only_a[[]], lineages, PATHS) == 0.5


def test_order_is_from_the_root_to_each_tip(truth):
    time = truth.obs[keys.TRUE_TIME].to_numpy().copy()
    assert scores.order(time**3, truth, PATHS) == pytest.approx({"Tip A": 1, "Tip B": 1})
    backward = np.where(truth.obs[keys.LINEAGE] == "Branch B", -time, time)
    found = scores.order(backward, truth, PATHS)
    assert found["Tip A"] == pytest.approx(1)
    assert found["Tip B"] < 0
    time[truth.obs[keys.LINEAGE] == "Branch A"] = np.nan
    assert scores.order(time, truth, PATHS)["Tip A"] == pytest.approx(1)  # of the cells that have a time


def test_drivers_are_transcribed_twice_as_much_as_at_the_fork(truth):
    made_up = truth.copy()
    alpha = np.ones(truth.shape)
    alpha[truth.obs[keys.CLUSTERS] == "Tip A", :4] = [1.9, 2.1, 5.0, 0.2]
    alpha[truth.obs[keys.CLUSTERS] == "Tip B", 4] = 3.0
    early = (truth.obs[keys.TRUE_TIME] < 3.4).to_numpy()
    alpha[early, 2] = 9.0  # long before the fork does not count
    made_up.layers[keys.TRUE_ALPHA] = alpha
    assert scores.true_drivers(made_up, BRANCH, "Tip A") == list(truth.var_names[1:3])
    assert scores.true_drivers(made_up, BRANCH, "Tip B") == [truth.var_names[4]]


def test_a_fit_whose_lineages_are_right_is_told_so(truth):
    found = row(analysed(), truth)
    assert found["tree"]
    assert found["tips"]
    assert found["terminal"] == "Tip A, Tip B"
    assert found["auc"] > 0.95
    for name in ("latent_time", "pseudotime"):
        assert min(found[name].values()) > 0.9
    for tip in PATHS:
        expected = scores.true_drivers(truth, BRANCH, tip)
        best = analysed().drivers.query("lineage == @tip")["gene"][:50]
        assert (found["hits"][tip], found["expected"][tip]) == (len(set(expected) & set(best)), len(expected))
        assert 0 < found["p"][tip] <= 1


def test_what_is_wrong_is_told_so(truth):
    edges = analysed().edges
    reversed_ = replace(analysed(), edges=edges.rename(columns={"source": "target", "target": "source"}))
    assert not row(reversed_, truth)["tree"]
    assert not row(replace(analysed(), edges=edges.iloc[:3]), truth)["tree"]
    only_a = replace(
        analysed(),
        cells=analysed().cells.drop(columns="fate: Tip B"),
        drivers=analysed().drivers.query("lineage == 'Tip A'"),
    )
    found = row(only_a, truth)
    assert found["tree"]
    assert not found["tips"]
    assert set(found["odds_ratio"]) == {"Tip A"}


def test_tables_show_what_failed_beside_what_did_not(truth):
    failed = asdict(Row(**(NAMED | {"seed": 1}), error="No terminal state was found."))
    rows = pd.DataFrame([row(analysed(), truth, odds_ratio={"Tip A": 2.0, "Tip B": 8.0}), failed])
    shown = table(rows)
    assert shown["terminal"].tolist() == ["Tip A, Tip B", "No terminal state was found."]
    assert shown["auc"].tolist() == [f"{rows['auc'][0]:.3f}", "nan"]
    assert shown["odds ratios"].tolist() == ["2.0  8.0", ""]
    over = summary(rows).iloc[0]
    assert (over["tree"], over["tips"]) == ("1/2", "1/2")
    assert over["mean odds"] == pytest.approx(4)
    assert over["least pseudo"] == min(rows["pseudotime"][0].values())
    assert over["largest p"] == max(rows["p"][0].values())


def test_every_part_of_the_analysis_is_timed():
    rows = lineages_time.measure(n_cells=200, n_genes=60, seed=0).set_index("part")["seconds"]
    assert list(rows.index) == ["trajectory", "fates", "drivers", "all"]
    assert (rows > 0).all()
    assert rows[:3].sum() == pytest.approx(rows["all"], rel=0.2, abs=0.1)


def test_an_edge_is_right_reversed_or_none():
    edges = pd.DataFrame(
        {"source": ["A", "C"], "target": ["B", "B"], "confidence": [0.5, 0.2], "agreement": [0.9, 0.4]}
    )
    assert lineages_real.direction(edges, "A", "B") == "right, 0.50, 90%"
    assert lineages_real.direction(edges, "B", "C") == "reversed, 0.20, 40%"
    assert lineages_real.direction(edges, "A", "C") == "none"


def test_real_cells_have_a_row_of_table_one_whether_or_not_the_end_was_found(shared_data):
    cells = read(shared_data / "dentate_gyrus_200.h5ad")
    rows = lineages_real.measure(cells, methods={"steady_state": "steady_state"}, seeds=[0, 1])
    assert len(rows) == 1  # it draws nothing at random
    found = rows.iloc[0]
    assert ("Granule mature" in found["terminal states"]) == ("end as found: markers" in rows)
    assert found["end by hand: drivers"] == 100
    genes = found["end by hand: markers_genes"].split(";")
    assert len(genes) == found["end by hand: markers"]
    assert set(genes) <= set(markers_by_group(cells, keys.CLUSTERS)["Granule mature"])
    assert "Table 1, lineage Granule mature" in lineages_real.text(rows)


def test_a_plan_is_fitted_analysed_and_scored():
    plan = Plan(kind="branch", depth="deep", seed=0, method="stochastic", n_cells=200, n_genes=60)
    found = measure(plan)
    assert (found.tree, found.tips, found.error) == (True, True, "")
    assert found.auc > 0.95
