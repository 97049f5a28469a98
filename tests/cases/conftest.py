"""The cases, made and taken through the program once for all tests of a process."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.cases.bench")

from tests.cases.bench import Bench  # noqa: E402


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Made-up cases by name, and what the program does with them."""
    return Bench(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module", autouse=True)
def rough_maps(rough_rates_umap: None) -> None:
    """The cases are about what is read, and each of their fits draws four such maps."""
