"""Confidence is high on a path and low where nothing moves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from deepvelo import config, keys
from deepvelo.datasets.simulation import simulate
from deepvelo.pp.prepare import prepare
from deepvelo.tl.metrics import confidence, direction_evidence
from deepvelo.tl.metrics.confidence import direction_confidence
from deepvelo.tl.velocity.fit import fit_velocity


@cache
def template(kind):
    settings = config.replace(config.Settings(), {"training": {"n_epochs": 60, "device": "cpu"}})
    simulated = simulate(kind=kind, n_cells=300, n_genes=100, depth=600, seed=3)
    prepared = prepare(simulated, settings, cluster_key=keys.CLUSTERS)
    fit = fit_velocity(prepared, settings=settings)
    return prepared, fit, direction_confidence(prepared, settings=settings)


def fitted(kind):
    """A fit and its confidence; each kind is fitted once."""
    prepared, _, confidence = template(kind)
    return prepared.copy(), confidence


@pytest.mark.slow
def test_moving_tissue_is_trusted_and_still_tissue_is_not():
    (_, moving), (_, still) = fitted("cycle"), fitted("static")
    assert np.median(moving.cells) > 0.9
    assert still.cells.max() < 0.6
    assert np.median(moving.genes) > np.median(still.genes)
    assert not moving.undecided.any()
    assert still.undecided.all()
    for found in (moving, still):
        assert ((found.cells >= 0.5) & (found.cells <= 1)).all()
        assert ((found.genes >= 0) & (found.genes <= 1)).all()


@pytest.mark.parametrize("kind", ["cycle", "static"])
def test_components_and_candidates_of_the_fit_are_those_found_again(kind):
    prepared, fit, again = template(kind)
    at_hand = direction_confidence(prepared, settings=config.Settings(), fit=fit)
    for own, other in zip(at_hand, again, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6)


def test_the_direction_of_a_reversed_velocity_is_undecided():
    prepared, before = fitted("cycle")
    prepared.layers[keys.VELOCITY] = -prepared.layers[keys.VELOCITY]
    after = direction_confidence(prepared, settings=config.Settings())
    assert before.cells.mean() > 0.9
    assert after.cells.mean() == pytest.approx(0.5, abs=0.02)
    assert after.undecided.all()


@pytest.mark.parametrize(("mirror", "trusted"), [(0.05, False), (0.4, True)])
def test_a_direction_that_is_not_mirrored_on_average_is_undecided(mirror, trusted, monkeypatch):
    """However much a reversal would leave unexplained: in noise some direction always explains more."""
    prepared, _ = fitted("cycle")
    mirrored = confidence._mirrored
    monkeypatch.setattr(
        confidence, "_mirrored", lambda *args: mirrored(*args)._replace(cells=np.full(prepared.n_obs, mirror))
    )
    found = direction_confidence(prepared, settings=config.Settings())
    assert found.cells.mean() > 0.9 if trusted else (found.cells == 0.5).all()
    assert found.undecided.any() != trusted


def test_a_group_with_as_many_cells_as_neighbours_is_undecided():
    prepared, _ = fitted("cycle")
    groups = np.array(["large"] * (prepared.n_obs - 30) + ["small"] * 30)
    prepared.obs["groups"] = groups
    found = direction_confidence(prepared, settings=config.Settings(), cluster_key="groups")
    np.testing.assert_array_equal(found.undecided, groups == "small")


def test_evidence_for_many_cells_is_that_of_an_even_choice(monkeypatch):
    prepared, whole = fitted("cycle")
    monkeypatch.setattr(direction_evidence, "MOST_IN_STRETCHES", 200)
    few = direction_confidence(prepared, settings=config.Settings())
    assert abs(few.cells.mean() - whole.cells.mean()) < 0.05


def test_a_gene_without_velocity_has_no_confidence():
    prepared, _ = fitted("linear")
    for layer in (keys.VELOCITY, *keys.RATES):
        prepared.layers[layer][:, 4] = np.nan
    found = direction_confidence(prepared, settings=config.Settings())
    assert np.isnan(found.genes[4])
    assert np.isfinite(np.delete(found.genes, 4)).all()
    assert np.isfinite(found.cells).all()
