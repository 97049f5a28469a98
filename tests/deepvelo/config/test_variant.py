"""What presets fix, and what the lambdas weigh under each."""

from __future__ import annotations

import pytest

from deepvelo import config


def of_lambdas(preset: str, lambda_u: float, lambda_s: float) -> tuple[float, float]:
    objective = {"lambda_u": lambda_u, "lambda_s": lambda_s}
    return config.replace(config.PRESETS[preset], {"objective": objective}).correlation_weights


def test_lambdas_weigh_as_written():
    assert of_lambdas("default", 1, 1) == (0.5, 0.5)
    assert of_lambdas("default", 3, 1) == (1.5, 0.5)


def test_only_the_ratio_of_lambdas_counts_in_the_published_preset():
    assert of_lambdas("published", 3, 1) == (0.75, 0.25)
    assert of_lambdas("published", 2, 1) == pytest.approx(of_lambdas("published", 1, 0.5))


@pytest.mark.parametrize("preset", config.PRESETS)
def test_without_lambdas_no_correlation_weighs(preset):
    assert of_lambdas(preset, 0, 0) == (0, 0)


def test_data_prepared_for_one_preset_are_others_than_for_another():
    changed = config.replace(config.Settings(), {"preset": "published"})
    assert changed.preparation == config.Settings().preparation
    assert changed.of_preparation != config.Settings().of_preparation


def test_an_ablation_ends_with_its_block_even_where_that_fails():
    found = []

    def fail():
        with config.ablation(dropout=0.5):
            found.extend(settings.variant.dropout for settings in config.PRESETS.values())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert found == [0.5, 0.2]
    assert config.Settings().variant.dropout == 0


def test_settings_are_few():
    flat = [
        name
        for value in config.to_dict(config.Settings()).values()
        for name in (value if isinstance(value, dict) else [value])
    ]
    assert len(flat) <= 25
