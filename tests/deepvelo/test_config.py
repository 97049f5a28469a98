"""Settings: checked on construction, whole on disk."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest

from deepvelo import config
from deepvelo.errors import InputError


@pytest.mark.parametrize("preset", sorted(config.PRESETS))
def test_presets_survive_toml(tmp_path, preset):
    file = tmp_path / "settings.toml"
    file.write_text(config.to_toml(config.PRESETS[preset]), encoding="utf-8")
    assert config.read_toml(file) == config.PRESETS[preset]


def test_a_partial_file_is_filled_from_its_preset(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('preset = "published"\n[graph]\nn_candidates = 12\n', encoding="utf-8")
    settings = config.read_toml(file)
    assert settings.graph.n_candidates == 12
    assert settings.graph.smooth_velocity == 0
    assert settings.training == config.PUBLISHED.training


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "fast"}, r"`preset` must be one of \['default', 'published'\]. Got 'fast'"),
        ({"graph": {"n_neighbors": 0}}, r"`graph.n_neighbors` should be .* 1. Got 0. Change it"),
        ({"objective": {"lambda_u": -1}}, r"`objective.lambda_u` should be .* 0. Got -1"),
        ({"training": {"n_epochs": "many"}}, r"`training.n_epochs` should be .*integer.* Got 'many'"),
        ({"network": {"dropout": 1.0}}, r"`network.dropout` should be less than 1"),
        ({"network": {"hidden_sizes": []}}, r"`network.hidden_sizes` should"),
        ({"graph": {"neighbours": 3}}, r"There is no setting `graph.neighbours`"),
        ({"network": {"rate_layer": "graph"}}, r"knows no start but 'random'"),
    ],
)
def test_bad_values_are_one_sentence(values, message):
    with pytest.raises(InputError, match=message) as error:
        config.from_dict(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("preset = ", "not a readable TOML"), (None, "no settings file")]
)
def test_bad_files_are_one_sentence(tmp_path, text, message):
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        config.read_toml(file)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Settings().graph.n_neighbors = 5


def test_replace_checks_like_construction():
    assert config.replace(config.Settings(), {"seed": 4, "graph": {"n_neighbors": 9}}).graph.n_neighbors == 9
    with pytest.raises(InputError):
        config.replace(config.Settings(), {"graph": {"n_neighbors": -9}})


def test_every_setting_tells_the_user_what_it_does():
    for name, section in config.sections().items():
        for entry in dataclasses.fields(section):
            field = section.__pydantic_fields__[entry.name]
            assert field.title, f"{name}.{entry.name}"
            assert field.description.rstrip().endswith("."), f"{name}.{entry.name}"


def test_the_documented_settings_file_is_the_default_preset(request):
    text = (request.config.rootpath / "docs" / "settings.toml").read_text(encoding="utf-8")
    assert config.from_dict(tomllib.loads(text)) == config.Settings()


@pytest.mark.parametrize("preset", config.PRESETS)
def test_a_preset_keeps_its_name_only_while_its_values_stay(preset):
    settings = config.PRESETS[preset]
    other = {"seed": 7, "training": {"device": "cpu"}}
    assert config.preset_label(config.replace(settings, other)) == preset
    assert (
        config.preset_label(config.replace(settings, {"graph": {"n_neighbors": 7}})) == f"{preset}, changed"
    )


@pytest.mark.parametrize(
    ("graph", "n_cells", "expected"),
    [
        ({}, 3000, 120),
        ({}, 200, 25),
        ({}, 8, 2),
        ({"n_candidates": 7}, 200, 7),
        ({"candidate_share": 0.5}, 200, 100),
        ({"n_candidates": 30, "candidate_share": 1.0}, 20, 30),
    ],
)
def test_candidates_are_a_share_of_the_cells_at_most(graph, n_cells, expected):
    assert config.replace(config.Settings(), {"graph": graph}).graph.candidates_of(n_cells) == expected


def test_the_method_is_a_setting_of_its_own():
    stochastic = config.replace(config.PUBLISHED, {"method": "stochastic"})
    assert config.from_dict({"preset": "published", "method": "stochastic"}) == stochastic
    assert (
        config.from_dict({"preset": "published"}).method == "deepvelo"
    )  # as in files older than the setting
    assert config.preset_label(stochastic) == "published"
    assert config.fit_label(stochastic) == "scVelo, stochastic"
    assert config.fit_label(config.PUBLISHED) == "published, seed 0"
    with pytest.raises(InputError, match=r"`method` should be .*'dynamical'.* Got 'bayes'"):
        config.from_dict({"method": "bayes"})
