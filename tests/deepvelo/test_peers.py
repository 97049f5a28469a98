"""Methods that come with a package of their own are offered only where the tested version is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from deepvelo import peers
from deepvelo.config import FITTED
from deepvelo.errors import InputError
from deepvelo.peers import PACKAGES, fitted_here, require_installed

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = tuple(method for method in FITTED if method != "graphvelo")


@pytest.fixture
def installed(monkeypatch):
    """Sets the version of GraphVelo that is found, None for none."""

    def install(found: str | None) -> None:
        def version(name: str) -> str:
            assert name == "graphvelo"
            if found is None:
                raise PackageNotFoundError(name)
            return found

        monkeypatch.setattr(peers, "version", version)

    return install


def test_the_tested_version_is_offered(installed):
    installed(PACKAGES["graphvelo"][1])
    assert fitted_here() == FITTED
    require_installed("graphvelo")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "GraphVelo is not installed: run `pip install graphvelo==0.1.9`, or choose another method."),
        (
            "0.0.1",
            "GraphVelo 0.0.1 is installed and 0.1.9 is needed: "
            "run `pip install graphvelo==0.1.9`, or choose another method.",
        ),
    ],
)
def test_anything_else_is_not_offered_and_asked_for_it_is_a_sentence_with_the_command(installed, found, said):
    installed(found)
    assert fitted_here() == WITHOUT
    with pytest.raises(InputError) as error:
        require_installed("graphvelo")
    assert str(error.value) == said


@pytest.mark.parametrize("method", [*WITHOUT, "imported"])
def test_the_other_methods_need_no_package(installed, method):
    installed(None)
    require_installed(method)


def test_the_extra_pins_the_version_that_is_asked_for():
    pins = (ROOT / "requirements-peers.txt").read_text(encoding="utf-8").splitlines()
    wanted = {f"{name}=={version}" for name, version in PACKAGES.values()}
    assert wanted <= {line.split("#")[0].strip() for line in pins}
    app = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not any(name in app for name, _ in PACKAGES.values())
