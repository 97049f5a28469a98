"""Settings as a whole: frozen, explained, and called by the preset whose values they have."""

from __future__ import annotations

import dataclasses

import pytest

from deepvelo import config


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Settings().graph.n_neighbors = 5


def test_every_setting_tells_the_user_what_it_does():
    for name, section in config.sections().items():
        for entry in dataclasses.fields(section):
            field = section.__pydantic_fields__[entry.name]
            assert field.title, f"{name}.{entry.name}"
            assert field.description.rstrip().endswith("."), f"{name}.{entry.name}"


def test_sections_are_the_groups_of_the_settings():
    assert config.sections() == {
        "preparation": config.PreparationConfig,
        "graph": config.GraphConfig,
        "objective": config.ObjectiveConfig,
        "training": config.TrainingConfig,
    }


@pytest.mark.parametrize("preset", config.PRESETS)
def test_a_preset_keeps_its_name_only_while_its_values_stay(preset):
    settings = config.PRESETS[preset]
    other = {"seed": 7, "training": {"device": "cpu"}}
    assert config.preset_label(config.replace(settings, other)) == preset
    assert (
        config.preset_label(config.replace(settings, {"graph": {"n_neighbors": 7}})) == f"{preset}, changed"
    )


def test_a_fit_of_scvelo_is_called_by_its_mode():
    stochastic = config.replace(config.PUBLISHED, {"method": "stochastic"})
    assert config.preset_label(stochastic) == "published"
    assert config.fit_label(stochastic) == "scVelo, stochastic"
    assert config.fit_label(config.PUBLISHED) == "published, seed 0"
