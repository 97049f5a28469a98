"""Whatever is done to a valid input, commands and pages end with a sentence: in time, within memory, alive."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from app.shared import files
from deepvelo.errors import InputError
from tests import bad_input
from tests.fuzz.examples import HDF5, MUTATIONS, ZARR, Example, Valid, offered
from tests.fuzz.forks import Ended, Forks
from tests.fuzz.strange import TEXTS
from tests.stored import save_made_up

REPLAYED = "DEEPVELO_FUZZ"  # an example, as it was printed
# Without Compare, which compiles its scores for ten seconds in each fork; it reads the address as the others do.
PAGES = ("data", "train", "velocity", "phase_portraits", "kinetic_rates", "lineages")


class Bench:
    """Does examples with the warm process."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        self.folder, self.forks = folder, forks
        self.valid = Valid(folder)
        self._numbers = itertools.count()
        bad_input.written()(folder / "good.h5ad")

    def do(self, example: Example) -> tuple[Ended, list[str]]:
        """How it ended, and what was done to the input."""
        folder = self.folder / f"example-{next(self._numbers)}"
        folder.mkdir()
        try:
            path, done = example.write(folder, self.valid)
            good = str(self.folder / "good.h5ad")
            match example.base:
                case "gmt":
                    words = ["lineages", good, "--gmt", str(path), "-o", str(folder / "out")]
                case "toml":
                    words = ["run", good, "--config", str(path), "-o", str(folder / "out.h5ad")]
                case "run":
                    return self.forks.do("runs", str(folder)), done
                case _:
                    words = ["check", str(path)]
            return self.forks.do("command", words), done
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def open(self, page: str, address: dict[str, str]) -> Ended:
        """How a page ends that is opened by an address; ``THE RUN`` stands for the id of a run that is there."""
        if not (served := self.folder / "served").exists():
            for name in ("runs", "data"):
                (served / name).mkdir(parents=True)
            self.run_id = save_made_up(served / "runs")
            shutil.copy(self.folder / "good.h5ad", served / "data")
        known = {name: value.replace("THE RUN", self.run_id) for name, value in address.items()}
        places = {f"DEEPVELO_{name.upper()}": str(served / name) for name in ("runs", "data")}
        return self.forks.do("page", f"{page}.py", known, **places)

    def require(self, example: Example) -> None:
        ended, done = self.do(example)
        for line in [*done, f"code {ended.code}", ended.stdout[-1500:], ended.stderr[-3000:]]:
            note(line)
        assert not ended.faults, (
            f"{ended.faults}. Again: {REPLAYED}='{example}' python -m pytest {__file__} -k replay"
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "said").mkdir()
    with Forks(folder / "said") as forks:
        yield Bench(folder, forks)


def examples(*bases: str) -> st.SearchStrategy[Example]:
    """Up to three mutations of one of the bases."""

    def of_base(base: str) -> st.SearchStrategy[Example]:
        step = st.tuples(st.sampled_from(offered(base)), st.integers(0, 10**6))
        return st.builds(Example, st.just(base), st.lists(step, min_size=1, max_size=3).map(tuple))

    return st.sampled_from(bases).flatmap(of_base)


def fuzz(n: int) -> settings:
    """The same examples each time; a failure is shown as it is found, for shrinking it takes longer than the test."""
    return settings(
        max_examples=n, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip


@pytest.mark.slow
@fuzz(115)
@given(example=examples(*HDF5))
def test_hdf5(bench: Bench, example: Example):
    bench.require(example)


@pytest.mark.slow
@fuzz(45)
@given(example=examples(*ZARR, "h5ad_gz"))
def test_zarr(bench: Bench, example: Example):
    bench.require(example)


@pytest.mark.slow
@fuzz(30)
@given(example=examples("gmt"))
def test_gene_sets(bench: Bench, example: Example):
    bench.require(example)


@pytest.mark.slow
@fuzz(30)
@given(example=examples("toml"))
def test_settings(bench: Bench, example: Example):
    bench.require(example)


@pytest.mark.slow
@fuzz(30)
@given(example=examples("run"))
def test_stored_runs(bench: Bench, example: Example):
    bench.require(example)


def values(*good: str) -> st.SearchStrategy[str]:
    """What one field of an address says: often something good, or strange, or both."""
    strange = st.one_of(st.sampled_from(TEXTS), st.text(max_size=40))
    return st.one_of(st.sampled_from(good), strange, st.builds("{}{}".format, st.sampled_from(good), strange))


ADDRESSES = st.fixed_dictionaries(
    {},
    optional={
        "data": values(
            "sample", "file:good.h5ad", "join:good.h5ad|good.h5ad", "public:pancreas", "file:", "join:|", "file:good.h5ad&genes=",
            "file:good.h5ad&ambiguous=", "file:good.h5ad&sheet=", "file:../", "file:%2e%2e/", "run:THE RUN",
        ),
        "run": values("THE RUN", "../THE RUN", "THE RUN/"),
        "gene": values("Tmsb10", "tmsb10", "Gene1"),
        "color": values("clusters", "gene", "gene_alpha", "velocity_confidence"),
    },
)  # fmt: skip


@pytest.mark.slow
@fuzz(50)
@given(page=st.sampled_from(PAGES), address=ADDRESSES)
def test_addresses(bench: Bench, page: str, address: dict[str, str]):
    ended = bench.open(page, address)
    note(ended.stderr[-3000:])
    assert not ended.faults, (page, address)


@pytest.mark.parametrize("form", ["{}", "file:{}", "join:{}|{}", "public:{}", "file:good.h5ad&genes={}|"])
def test_strange_addresses_of_data(server: Path, form: str):
    for text in TEXTS:
        with pytest.raises(InputError) as refused:
            files.from_text(form.replace("{}", text))
        assert len(str(refused.value)) < 5_000


def test_an_example_is_the_same_each_time(tmp_path: Path):
    valid = Valid(tmp_path)
    for base in ("gmt", "toml"):
        example = Example.from_text(f"{base} lines:17 flip:3")
        assert Example.from_text(str(example)) == example
        made = []
        for folder in (tmp_path / f"{base}-1", tmp_path / f"{base}-2"):
            folder.mkdir()
            made.append(example.write(folder, valid)[0].read_bytes())
        assert made[0] == made[1] != valid(base).read_bytes()


@pytest.mark.skipif(REPLAYED not in os.environ, reason="for an example that failed")
def test_replay(bench: Bench):
    ended, done = bench.do(Example.from_text(os.environ[REPLAYED]))
    numbers = f"code {ended.code}, {ended.seconds:.1f} s, {ended.megabytes:,.0f} MB"
    print(*done, ended.stdout, ended.stderr, numbers, sep="\n")  # noqa: T201 (read by who does it again)
    assert not ended.faults


@pytest.mark.slow
@pytest.mark.parametrize("base", MUTATIONS)
def test_what_is_not_changed_is_taken(bench: Bench, base: str):
    ended, _ = bench.do(Example(base, ()))
    assert not ended.faults
    assert ended.code == (2 if base == "gmt" else 0), ended.stderr  # the cells for it have no velocities
