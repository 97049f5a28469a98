"""Settings on disk: whole, and a bad value is one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deepvelo import config
from deepvelo.errors import InputError


@pytest.mark.parametrize("preset", sorted(config.PRESETS))
def test_presets_survive_toml(tmp_path, preset):
    file = tmp_path / "settings.toml"
    file.write_text(config.to_toml(config.PRESETS[preset]), encoding="utf-8")
    assert config.read_toml(file) == config.PRESETS[preset]


def test_the_file_of_the_documentation_has_every_setting_at_its_default():
    file = Path(__file__).resolve().parents[3] / "docs" / "settings.toml"
    assert tomllib.loads(file.read_text(encoding="utf-8")) == config.to_dict(config.Settings())


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
        ({"method": "bayes"}, r"`method` should be .*'dynamical'.* Got 'bayes'"),
        ({"graph": {"n_neighbors": 0}}, r"`graph.n_neighbors` should be .* 1. Got 0. Change it"),
        ({"objective": {"lambda_u": -1}}, r"`objective.lambda_u` should be .* 0. Got -1"),
        (
            {"training": {"n_epochs": "many"}},
            r"`training.n_epochs` should be a whole number. Got 'many'. Change",
        ),
        ({"training": {"n_epochs": 2.7}}, r"`training.n_epochs` should be a whole number. Got 2.7. Change"),
        ({"training": {"n_epochs": None}}, r"^Setting `training.n_epochs` is empty. Give a whole number.$"),
        (
            {"training": {"learning_rate": None}},
            r"^Setting `training.learning_rate` is empty. Give a number.$",
        ),
        (
            {"training": {"learning_rate": "x"}},
            r"`training.learning_rate` should be a number. Got 'x'. Change",
        ),
        ({"graph": {"n_candidates": 1}}, r"`graph.n_candidates` should be 0 or at least 2"),
        ({"graph": {"neighbours": 3}}, r"There is no setting `graph.neighbours`"),
        ({"network": {"dropout": 0.2}}, r"There is no setting `network`"),
        ({"variant": {"dropout": 0.2}}, r"There is no setting `variant`"),
    ],
)
def test_bad_values_are_one_sentence(values, message):
    with pytest.raises(InputError, match=message) as error:
        config.from_dict(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("preset = ", "not a readable TOML"),
        ("a = " + "[" * 5000 + "]" * 5000, "too deep in each other"),
        ("a = " + "{a=" * 2000 + "1" + "}" * 2000, "too deep in each other"),
        ("a = " + "[" * 20_000 + "]" * 20_000, "larger than 20 kB"),
        ("seed = " + "1" * 5000, "not a readable TOML.*4300 digits"),
        ("seed = 0x" + "f" * 5000, "`seed` should be .* too large to be shown"),
        ("seed = " + "9" * 4000, r"`seed` should be .* Got 9{20,}…9+\. Change it"),
        ("[objective]\nlambda_u = 1e999", "`objective.lambda_u` .* Got inf"),
        ("[objective]\nlambda_u = nan", "`objective.lambda_u` .* Got nan"),
        ("[graph]\nn_neighbors = 1e30", "`graph.n_neighbors` should be a whole number"),
        (f"[graph]\nn_neighbors = [{'1, ' * 2000}]", "`graph.n_neighbors` should be a whole number"),
        ("seed = 2020-01-01", "`seed` should be a whole number"),
        ("graph = [1, 2]", "`graph` should be"),
        ("seed = 1\nseed = 2", "not a readable TOML.*overwrite"),
        ("seed = 1\0", "not plain text"),
        ("seed = 1".encode("utf-16"), "not plain text"),
        (b"tool = '\xe9'", "not plain text"),
        ("a" * 10_000 + " = 1", "There is no setting `a+…a+`"),
    ],
)
def test_bad_files_are_one_short_sentence(tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        config.read_toml(file)
    assert len(str(error.value)) < 500 + len(str(file))


@pytest.mark.parametrize("path", ["/dev/zero", ".", "nowhere.toml", "a\0b", "a" * 300])
def test_what_is_no_settings_file_is_one_sentence(path):
    with pytest.raises(InputError, match=r"cannot be read|not plain text"):
        config.read_toml(Path(path))


def test_a_mark_of_utf8_before_the_text_does_not_matter(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("\ufeffseed = 3\n", encoding="utf-8")
    assert config.read_toml(file).seed == 3


def test_numbers_that_python_cannot_write_are_named_by_their_size():
    with pytest.raises(InputError, match=r"`seed` should be .* too large to be shown"):
        config.from_dict({"seed": 10**5000})


def test_replace_checks_like_construction():
    assert config.replace(config.Settings(), {"seed": 4, "graph": {"n_neighbors": 9}}).graph.n_neighbors == 9
    with pytest.raises(InputError):
        config.replace(config.Settings(), {"graph": {"n_neighbors": -9}})


def test_the_documented_settings_file_is_the_default_preset(request):
    text = (request.config.rootpath / "docs" / "settings.toml").read_text(encoding="utf-8")
    assert config.from_dict(tomllib.loads(text)) == config.Settings()


def test_the_method_stands_beside_the_preset_and_is_ours_in_files_older_than_it():
    stochastic = config.replace(config.PUBLISHED, {"method": "stochastic"})
    assert config.from_dict({"preset": "published", "method": "stochastic"}) == stochastic
    assert config.from_dict({"preset": "published"}).method == "deepvelo"
