"""What is queued for a run, and what of it is found again when finished."""

from __future__ import annotations

import dataclasses

import pytest

from deepvelo import config
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.evaluation.controls import (
    N_SEEDS,
    N_STEADY_STATE,
    SweepValues,
    control_plan,
    finished,
    seeds_plan,
    steady_state_plan,
    sweep_plan,
)
from deepvelo.io.runs import RunStore


@pytest.fixture
def base(tmp_path, made_up_run):
    """A stored run of 40 cells and 6 genes with seed 0, and its folder."""
    store = RunStore(tmp_path)
    run = store.open(made_up_run(tmp_path, seed=0))
    return run.info, run.folder


def stored_as(planned, run_id):
    """What the store would say of the finished fit."""
    return stored_info(planned, run_id, data_hash=planned.source.hash(), settings=planned.settings)


def stored_info(planned, run_id, **changes):
    from deepvelo.io.runs import RunInfo

    values = {
        "run_id": run_id, "name": planned.name, "data_name": "made-up cells", "created": "2025-01-01T00:00:00+00:00",
        "metrics": {}, "versions": {}, "cluster_key": "clusters", "basis": "umap",
        "purpose": planned.purpose, "base": planned.base,
    }  # fmt: skip
    return RunInfo(**(values | changes))


def test_the_control_changes_the_data_alone(base):
    info, folder = base
    (planned,) = control_plan(info, folder)
    assert planned.source == DataSource("shuffled", path=str(folder), seed=0)
    assert planned.settings == info.settings
    assert (planned.purpose, planned.base) == ("control", info.run_id)
    assert (planned.cluster_key, planned.basis) == ("clusters", "umap")
    assert planned.name == "made up, shuffled 0"
    assert [plan.source.seed for plan in control_plan(info, folder, seeds=(3, 4))] == [3, 4]


def test_steady_state_controls_are_several_with_the_runs_own_settings(base):
    info, folder = base
    plan = steady_state_plan(info, folder)
    assert [planned.source for planned in plan] == [
        DataSource("steady_state", path=str(folder), seed=seed) for seed in range(N_STEADY_STATE)
    ]
    assert {planned.settings for planned in plan} == {info.settings}
    assert {planned.purpose for planned in plan} == {"steady_state"}
    assert plan[2].name == "made up, steady state 2"
    with pytest.raises(InputError, match="is itself a steady-state control of run"):
        steady_state_plan(stored_as(plan[0], "rest"), folder)


def test_other_seeds_make_five_with_the_runs_own(base):
    info, folder = base
    plan = seeds_plan(info, folder)
    assert [planned.settings.seed for planned in plan] == [1, 2, 3, 4]
    assert len(plan) == N_SEEDS - 1
    assert {planned.source for planned in plan} == {DataSource("run", path=str(folder))}
    assert all(config.replace(planned.settings, {"seed": 0}) == info.settings for planned in plan)
    far = dataclasses.replace(info, settings=config.replace(info.settings, {"seed": 77}))
    assert [planned.settings.seed for planned in seeds_plan(far, folder, n_seeds=3)] == [0, 1]


def test_a_sweep_changes_one_thing_at_a_time_and_leaves_out_the_runs_own_value(base):
    info, folder = base
    values = SweepValues(
        n_neighbors=(20, 10), n_candidates=(5, 30), lambda_u=(0.0, 1.0), lambda_s=(2.0,), n_genes=(6, 4)
    )
    plan = {planned.varied: planned for planned in sweep_plan(info, folder, values=values)}
    assert list(plan) == [
        "graph neighbours 10", "candidates 30", "λ unspliced 0", "λ spliced 2", "genes 4",
    ]  # fmt: skip  # 40 cells have 5 candidates at most, so 5 is the run's own value
    assert plan["graph neighbours 10"].settings == config.replace(
        info.settings, {"graph": {"n_neighbors": 10}}
    )
    assert plan["candidates 30"].settings.graph.n_candidates == 30
    assert plan["λ unspliced 0"].settings.objective.lambda_u == 0
    assert plan["genes 4"].settings == info.settings
    assert plan["genes 4"].source == DataSource("run", path=str(folder), n_genes=4)
    assert {planned.purpose for planned in plan.values()} == {"sweep"}


LAMBDAS = SweepValues(lambda_u=(0.5, 2.0), lambda_s=(0.5, 2.0))


def test_every_lambda_of_a_sweep_is_another_objective(base):
    info, folder = base
    plan = sweep_plan(info, folder, values=LAMBDAS)
    assert [planned.varied for planned in plan] == [
        "λ unspliced 0.5", "λ unspliced 2", "λ spliced 0.5", "λ spliced 2",
    ]  # fmt: skip
    assert len({planned.settings.correlation_weights for planned in plan}) == 4


def test_in_the_published_schedule_equal_ratios_of_lambdas_are_fitted_once(base):
    info, folder = base
    published = config.replace(info.settings, {"preset": "published"})
    plan = sweep_plan(dataclasses.replace(info, settings=published), folder, values=LAMBDAS)
    assert [planned.varied for planned in plan] == ["λ unspliced 0.5", "λ unspliced 2"]
    alone = SweepValues(lambda_s=(0.5, 3.0))
    plan = sweep_plan(dataclasses.replace(info, settings=published), folder, values=alone)
    assert [planned.varied for planned in plan] == ["λ spliced 0.5", "λ spliced 3"]


def test_a_preparation_that_was_done_is_kept(base):
    """The store refuses settings that say of a run's data what is not so."""
    info, folder = base
    values = SweepValues(n_neighbors=(10,), n_genes=(4,))
    for planned in [*seeds_plan(info, folder), *sweep_plan(info, folder, values=values)]:
        planned.source.require_suitable(planned.settings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SweepValues(n_neighbors=(40,)), "fewer graph neighbours than there are cells. Got 40 for 40 cells"),
        (SweepValues(n_candidates=(50,)), "fewer candidates than there are cells. Got 50"),
        (SweepValues(n_genes=(7,)), "some of the run's own genes. Got 7 for 6 genes"),
        (SweepValues(lambda_u=(-1.0,)), "lambda_u"),
    ],
)
def test_values_that_cannot_be_are_refused(base, values, message):
    info, folder = base
    with pytest.raises(InputError, match=message):
        sweep_plan(info, folder, values=values)


def test_what_changes_nothing_or_belongs_to_another_run_is_refused(base):
    info, folder = base
    with pytest.raises(InputError, match="two are needed"):
        seeds_plan(info, folder, n_seeds=1)
    control = dataclasses.replace(info, purpose="control", base="another")
    for plan in (control_plan, seeds_plan):
        with pytest.raises(InputError, match="itself a control of run another"):
            plan(control, folder)
    scvelo = dataclasses.replace(info, settings=config.replace(info.settings, {"method": "stochastic"}))
    with pytest.raises(InputError, match="scVelo, stochastic other seeds change nothing"):
        seeds_plan(scvelo, folder)
    with pytest.raises(InputError, match="change nothing"):
        sweep_plan(scvelo, folder, values=SweepValues(lambda_u=(2.0,)))
    assert len(control_plan(scvelo, folder)) == 1
    assert len(sweep_plan(scvelo, folder, values=SweepValues(n_genes=(4,)))) == 1


def test_finished_fits_are_found_and_others_are_not(base):
    info, folder = base
    plan = [*control_plan(info, folder), *seeds_plan(info, folder, n_seeds=3)]
    control, first, second = plan
    of_another = dataclasses.replace(stored_as(second, "elsewhere"), base="another run")
    older = dataclasses.replace(stored_as(first, "older"), created="2024-01-01T00:00:00+00:00")
    infos = [stored_as(control, "c"), stored_as(first, "s1"), older, of_another, info]
    assert [(entry.varied, run and run.run_id) for entry, run in finished(plan, infos)] == [
        ("shuffled 0", "c"),
        ("seed 1", "s1"),
        ("seed 2", None),
    ]


def test_controls_with_other_seeds_and_fewer_genes_are_told_apart(base):
    info, folder = base
    plan = [
        *control_plan(info, folder, seeds=(0, 1)),
        *sweep_plan(info, folder, values=SweepValues(n_genes=(4, 5))),
    ]
    done = [stored_as(plan[1], "second control"), stored_as(plan[3], "five genes")]
    found = [run and run.run_id for _, run in finished(plan, done)]
    assert found == [None, "second control", None, "five genes"]


@pytest.mark.parametrize("n_genes", [0, -5, 1])
def test_a_sweep_over_no_genes_is_one_sentence(base, n_genes):
    info, folder = base
    with pytest.raises(InputError, match=rf"takes at least 2\. Got {n_genes}\."):
        sweep_plan(info, folder, values=SweepValues(n_genes=(n_genes, 4)))
