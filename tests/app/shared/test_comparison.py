"""Stored runs beside each other: what they are called, and that nothing is computed twice."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from app.shared import cached, comparison
from deepvelo.arrays import views
from deepvelo.errors import InputError
from deepvelo.evaluation import compare
from deepvelo.pl import theme
from tests.compared import copy_as


@pytest.fixture
def run(ring_run):
    return ring_run


@pytest.fixture
def ids(run) -> tuple[str, ...]:
    return run.info.run_id, copy_as(run, "stochastic", back_every=2)


def test_methods_have_names_without_commas_and_their_own_colors(ids):
    assert comparison.names(ids) == ["DeepVelo", "scVelo stochastic"]
    assert comparison.colors(ids) == {
        "DeepVelo": theme.METHOD_COLORS["deepvelo"],
        "scVelo stochastic": theme.METHOD_COLORS["stochastic"],
    }


def test_runs_of_one_method_are_told_apart(run):
    ids = (copy_as(run, name="first"), copy_as(run, name="twice"), copy_as(run, name="twice"))
    names = comparison.names((*ids, copy_as(run, "dynamical")))
    assert names == [
        "DeepVelo · first", f"DeepVelo · twice · {ids[1]}", f"DeepVelo · twice · {ids[2]}", "scVelo dynamical",
    ]  # fmt: skip
    colors = comparison.colors(ids)
    assert len(set(colors.values())) == 3
    assert not set(list(colors.values())[1:]) & set(theme.METHOD_COLORS.values())


def test_the_data_is_left_out_of_a_runs_name(run):
    assert comparison.run_name(cached.open_run(copy_as(run)).info) == "default, changed, seed 0"
    assert comparison.run_name(cached.open_run(copy_as(run, name="mine")).info) == "mine"


def test_scores_are_those_of_the_library(ids):
    table = comparison.compared(ids, 0, []).table
    assert table["consistency_median"].to_dict() == pytest.approx({"DeepVelo": 1, "scVelo stochastic": -1})


def test_all_methods_are_averaged_as_often(ids):
    raw, averaged = comparison.matched(ids, 0).velocities, comparison.matched(ids, 1).velocities
    np.testing.assert_allclose(averaged["DeepVelo"], raw["DeepVelo"], rtol=1e-5)  # all cells move alike
    assert (np.abs(averaged["scVelo stochastic"]) < np.abs(raw["scVelo stochastic"])).all()
    assert comparison.compared(ids, 1, []).smooth == 1


def test_edges_are_scored(ids):
    edge = ("Neuroblast", "Granule immature")
    found = comparison.compared(ids, 0, [edge])
    assert found.edges == [edge]
    assert found.table["boundary_genes"].notna().all()


def test_an_unknown_group_is_one_sentence(ids):
    with pytest.raises(InputError, match="There is no group 'Mars'"):
        comparison.compared(ids, 0, [("Mars", "OPC")])


def test_nothing_is_computed_twice(ids, monkeypatch):
    found, matched = comparison.compared(ids, 0, []), comparison.matched(ids, 1)

    def again(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(compare, "match", again)
    monkeypatch.setattr(compare, "compare", again)
    assert comparison.compared(ids, 0, []) is found
    assert comparison.matched(ids, 1) is matched


def test_the_first_run_gives_cells_and_graph(ids):
    matched = comparison.matched(ids, 0)
    first = cached.open_run(ids[0])
    assert list(matched.reference.obs_names) == list(first.obs.index)
    assert (matched.cluster_key, matched.basis) == (first.info.cluster_key, first.info.basis)


def test_a_run_that_was_deleted_is_one_sentence_though_its_scores_are_cached(ids, server):
    comparison.compared(ids, 0, [])
    shutil.rmtree(server / "runs" / ids[1])
    with pytest.raises(InputError, match="deleted"):
        comparison.compared(ids, 0, [])


def test_a_run_deleted_while_it_is_scored_is_one_sentence_and_nothing_is_kept(ids, server, monkeypatch):
    score = compare.compare

    def slow(*args, **kwargs):
        shutil.rmtree(server / "runs" / ids[1])
        return score(*args, **kwargs)

    monkeypatch.setattr(views, "_BLOCK_KEPT", 0)  # velocities stay on disk
    comparison.matched(ids, None)
    monkeypatch.setattr(compare, "compare", slow)
    with pytest.raises(InputError, match="deleted"):
        comparison.compared(ids, None, [])
