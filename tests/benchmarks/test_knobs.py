"""Every knob changes one setting, and its effect is the difference to the default."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy_methods import Case, case_of, simulated
from benchmarks.knobs import ABLATIONS, DEFAULT, KNOBS, changes, effects, measure, scored
from deepvelo import config, keys


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(simulated("linear", "deep", seed=0, n_cells=150, n_genes=60), seed=0)


def test_every_change_is_another_fit_than_the_default():
    default = config.Settings()
    turned = [config.replace(default, change.settings) for change in changes(tuple(KNOBS)).values()]
    assert len(turned) == sum(map(len, KNOBS.values()))
    assert len({default, *turned}) == len(turned) + 1
    one = changes(("graph.n_neighbors",))
    assert one["graph.n_neighbors 10"] == ({"graph": {"n_neighbors": 10}}, {})


def test_every_ablation_changes_what_the_preset_fixes():
    variants = [config.VARIANTS["default"]]
    for _, fixed in changes(tuple(ABLATIONS)).values():
        with config.ablation(**fixed) as variant:
            variants.append(variant)
    assert len(set(variants)) == len(ABLATIONS) + 1


@pytest.mark.parametrize("sign", [1, -1])
def test_the_true_velocity_scores_highest_and_reversed_lowest(case, sign):
    fitted = case.prepared.copy()
    fitted.layers[keys.VELOCITY] = sign * case.velocity
    fitted.var[keys.VELOCITY_GENES] = True
    found = scored(fitted, case)
    assert found["cosine"] == pytest.approx(sign, abs=1e-5)
    assert sign * found["boundary"] > 0.5
    assert found["consistency"] > 0.7
    assert found["below_zero"] == (sign < 0)


def test_only_genes_that_a_fit_kept_are_scored(case):
    fitted = case.prepared[:, :30].copy()
    fitted.layers[keys.VELOCITY] = case.velocity[:, :30].copy()
    fitted.layers[keys.VELOCITY][:, 20:] *= -1
    fitted.var[keys.VELOCITY_GENES] = np.arange(30) < 20
    assert scored(fitted, case)["cosine"] == pytest.approx(1, abs=1e-5)


def test_effects_are_differences_of_means_over_the_seeds():
    scores = {DEFAULT: (0.8, 0.6, 0.9), "x 1": (0.7, 0.6, 0.9), "x 2": (0.8, 0.8, 0.6)}
    sets = (("branch", 0), ("branch", 1), ("cycle", 0))
    rows = pd.DataFrame(
        {"kind": kind, "depth": "deep", "seed": seed, "change": change, "cosine": value}
        for change, values in scores.items()
        for (kind, seed), value in zip(sets, values, strict=True)
    )
    found = effects(rows, "cosine")
    assert list(found.index) == list(scores)
    assert found[("branch", "deep")].tolist() == pytest.approx([0.7, -0.05, 0.1])
    assert found[("cycle", "deep")].tolist() == pytest.approx([0.9, 0, -0.3])
    assert found["largest"].tolist()[1:] == pytest.approx([0.05, 0.3])


@pytest.mark.slow
def test_a_knob_without_effect_leaves_every_score():
    """The number of variable genes that are kept does nothing where there are fewer."""
    rows = measure("linear", "deep", 0, n_cells=150, n_genes=40, names=("preparation.n_top_genes",))
    by_change = {row.pop("change"): row for row in rows}
    assert by_change["preparation.n_top_genes 50"] == by_change[DEFAULT]
