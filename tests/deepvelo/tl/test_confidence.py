"""Confidence is high on a path and low where nothing moves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from deepvelo import config, keys, pp, tl
from deepvelo.datasets.simulation import simulate
from deepvelo.model import stretches


@cache
def template(kind):
    settings = config.replace(config.Settings(), {"training": {"n_epochs": 60, "device": "cpu"}})
    simulated = simulate(kind=kind, n_cells=300, n_genes=100, depth=600, seed=3)
    prepared = pp.prepare(simulated, settings, cluster_key=keys.CLUSTERS)
    fit = tl.velocity(prepared, settings=settings)
    return prepared, fit, tl.direction_confidence(prepared, settings=settings)


def fitted(kind):
    """A fit and its confidence; each kind is fitted once."""
    prepared, _, confidence = template(kind)
    return prepared.copy(), confidence


def test_moving_tissue_is_trusted_and_still_tissue_is_not():
    (_, moving), (_, still) = fitted("cycle"), fitted("static")
    assert np.median(moving.cells) > 0.9
    assert still.cells.max() < 0.6
    assert np.median(moving.genes) > np.median(still.genes)
    assert not moving.undecided.any()
    assert still.undecided.all()
    for confidence in (moving, still):
        assert ((confidence.cells >= 0.5) & (confidence.cells <= 1)).all()
        assert ((confidence.genes >= 0) & (confidence.genes <= 1)).all()


@pytest.mark.parametrize("kind", ["cycle", "static"])
def test_components_and_candidates_of_the_fit_are_those_found_again(kind):
    prepared, fit, again = template(kind)
    at_hand = tl.direction_confidence(prepared, settings=config.Settings(), fit=fit)
    for own, other in zip(at_hand, again, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6)


def test_the_direction_of_a_reversed_velocity_is_undecided():
    prepared, before = fitted("cycle")
    prepared.layers[keys.VELOCITY] = -prepared.layers[keys.VELOCITY]
    after = tl.direction_confidence(prepared, settings=config.Settings())
    assert before.cells.mean() > 0.9
    assert after.cells.mean() == pytest.approx(0.5, abs=0.02)
    assert after.undecided.all()


def test_a_group_with_as_many_cells_as_neighbours_is_undecided():
    prepared, _ = fitted("cycle")
    groups = np.array(["large"] * (prepared.n_obs - 30) + ["small"] * 30)
    prepared.obs["groups"] = groups
    found = tl.direction_confidence(prepared, settings=config.Settings(), cluster_key="groups")
    np.testing.assert_array_equal(found.undecided, groups == "small")


def test_evidence_for_many_cells_is_that_of_an_even_choice(monkeypatch):
    prepared, whole = fitted("cycle")
    monkeypatch.setattr(stretches, "MOST_CELLS", 200)
    few = tl.direction_confidence(prepared, settings=config.Settings())
    assert abs(few.cells.mean() - whole.cells.mean()) < 0.05


def test_a_gene_without_velocity_has_no_confidence():
    prepared, _ = fitted("linear")
    for layer in (keys.VELOCITY, *keys.RATES):
        prepared.layers[layer][:, 4] = np.nan
    confidence = tl.direction_confidence(prepared, settings=config.Settings())
    assert np.isnan(confidence.genes[4])
    assert np.isfinite(np.delete(confidence.genes, 4)).all()
    assert np.isfinite(confidence.cells).all()
