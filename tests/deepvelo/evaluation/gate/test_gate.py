"""The gate and the signal from end to end: tissue that moves and tissue that does not, with their controls."""

from __future__ import annotations

import pytest

from deepvelo import config, keys, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError
from deepvelo.evaluation import gate
from deepvelo.evaluation.controls import (
    SweepValues,
    control_plan,
    finished,
    forward_surplus,
    signal_score,
    sweep_plan,
)
from deepvelo.io.runs import RunStore

pytestmark = pytest.mark.slow

SETTINGS = config.replace(config.Settings(), {"training": {"device": "cpu"}})


def with_control(folder, kind):
    """A stored run on deep simulated counts and its control, made as a job makes it."""
    simulated = simulate(kind=kind, n_cells=500, n_genes=120, depth=720, seed=100)
    store = RunStore(folder)
    result = workflow.run(simulated, SETTINGS, cluster_key=keys.CLUSTERS)
    run = store.open(store.save(result, data_name=kind, data_hash=kind))
    (planned,) = control_plan(run.info, run.folder)
    assert finished([planned], store.list()) == [(planned, None)]
    shuffled = workflow.run(
        planned.source.load(),
        planned.settings,
        cluster_key=planned.cluster_key,
        basis=planned.basis,
        prepared=True,
    )
    store.save(
        shuffled,
        data_name=planned.source.label,
        data_hash=planned.source.hash(),
        purpose=planned.purpose,
        base=planned.base,
    )
    ((_, found),) = finished([planned], store.list())
    return run, store.open(found.run_id)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    return with_control(tmp_path_factory.mktemp("moving"), "linear")


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return with_control(tmp_path_factory.mktemp("static"), "static")


def signal(run, control):
    along, of_control = (
        forward_surplus(part.to_adata(), cluster_key=keys.CLUSTERS) for part in (run, control)
    )
    return signal_score(along, [of_control])


def against(run, control):
    return gate.Control(signal=signal(run, control), consistency=control.obs[keys.CONSISTENCY].to_numpy())


def test_moving_tissue_has_a_signal_and_a_green_gate(moving):
    run, control = moving
    assert signal(run, control) > 0.6
    found = gate.quality_gate(run.to_adata(), cluster_key=keys.CLUSTERS, control=against(run, control))
    assert gate.worst(found) == "green"
    assert [f.title for f in found if f.level == "not checked"] == [
        "Agreement of the methods", "Direction under other settings", "Batches",
    ]  # fmt: skip


def test_tissue_at_rest_has_neither(static):
    run, control = static
    assert signal(run, control) < 0.2
    found = gate.quality_gate(run.to_adata(), cluster_key=keys.CLUSTERS, control=against(run, control))
    levels = {f.title: f.level for f in found}
    assert levels["Against the shuffled control"] == "red"
    assert levels["Movement of the tissue"] != "green"


def test_tissue_at_rest_is_found_without_a_control_too(static):
    run, _ = static
    found = gate.quality_gate(run.to_adata(), cluster_key=keys.CLUSTERS)
    assert gate.worst(found) not in ("green", "not checked")
    assert next(f for f in found if f.title == "Against the shuffled control").level == "not checked"


def test_arrows_against_the_counts_have_no_signal(moving):
    run, control = moving
    turned = run.to_adata()
    graph, negative = turned.uns[keys.VELOCITY_GRAPH], turned.uns[keys.VELOCITY_GRAPH_NEG]
    turned.uns[keys.VELOCITY_GRAPH], turned.uns[keys.VELOCITY_GRAPH_NEG] = -negative, -graph
    along = forward_surplus(turned, cluster_key=keys.CLUSTERS)
    assert signal_score(along, [forward_surplus(control.to_adata(), cluster_key=keys.CLUSTERS)]) == 0


def test_a_sweep_over_genes_can_be_loaded_and_a_control_has_no_controls(moving):
    run, control = moving
    (planned,) = sweep_plan(run.info, run.folder, values=SweepValues(n_genes=(60,)))
    assert planned.source.load().n_vars == 60
    with pytest.raises(InputError, match="itself a control"):
        control_plan(control.info, control.folder)


def test_a_grouping_that_is_not_there_is_refused(moving):
    with pytest.raises(InputError, match="no grouping 'cell_type'"):
        gate.quality_gate(moving[0].to_adata(), cluster_key="cell_type")
