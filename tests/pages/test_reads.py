"""Pages read what they draw: no layer as a whole, no gene and no embedding that is not in the picture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo import keys
from deepvelo.io import run as io_run
from deepvelo.io.runs import Run
from tests.on_page import fine
from tests.queued import Queue


class Reads:
    """What was read of a run: ``genes`` as layer and gene, ``matrices`` as names in ``obsm``."""

    def __init__(self) -> None:
        self.genes: set[tuple[str, str]] = set()
        self.matrices: set[str] = set()


@pytest.fixture
def reads(saved_run: str, monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Watches a run of which nothing is cached; reading all of it fails."""
    found = Reads()
    gene, matrix = Run.gene, io_run._Matrices.__getitem__

    def read_gene(run: Run, layer: str, name: str) -> object:
        found.genes.add((layer, name))
        return gene(run, layer, name)

    def read_matrix(matrices: io_run._Matrices, name: str) -> object:
        found.matrices.add(name)
        return matrix(matrices, name)

    def read_all(run: Run, *_: object, **__: object) -> None:
        pytest.fail("the whole run was read")

    monkeypatch.setattr(Run, "gene", read_gene)
    monkeypatch.setattr(io_run._Matrices, "__getitem__", read_matrix)
    monkeypatch.setattr(Run, "to_adata", read_all)
    return found


def test_the_stream_reads_the_embedding_and_its_arrows(reads: Reads, opened: Callable[[str], AppTest]):
    fine(opened("velocity").run())
    assert reads.genes == set()
    assert reads.matrices == {keys.X_UMAP, keys.velocity_embedding("umap")}


def test_a_portrait_reads_one_gene(reads: Reads, opened: Callable[[str], AppTest]):
    fine(opened("phase_portraits").run())
    assert {gene for _, gene in reads.genes} == {"Tmsb10"}
    assert {layer for layer, _ in reads.genes} == {
        keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U, *keys.RATES,
    }  # fmt: skip
    assert reads.matrices == {keys.X_UMAP}


def test_rates_read_one_gene_and_the_chosen_space(reads: Reads, opened: Callable[[str], AppTest]):
    fine(opened("kinetic_rates").run())
    assert reads.genes == {(rate, "Tmsb10") for rate in keys.RATES}
    assert reads.matrices == {keys.X_RATES_UMAP}


def test_the_list_of_runs_reads_no_result(reads: Reads, queue: Queue, opened: Callable[[str], AppTest]):
    fine(opened("train").run())
    assert reads.genes == set()
    assert reads.matrices == set()


def test_checks_of_a_run_leave_its_dense_layers_on_disk(checked_run: Run, monkeypatch: pytest.MonkeyPatch):
    from app.shared import controls

    kept: list[object] = []
    part = Run.part

    def watched(run: Run, *args: object, **options: object) -> object:
        fit = part(run, *args, **options)
        kept.append(fit.layers[keys.VELOCITY])
        return fit

    monkeypatch.setattr(Run, "part", watched)
    monkeypatch.setattr(Run, "to_adata", lambda run: pytest.fail("the whole run was read"))
    assert controls.gate(cached.open_run(checked_run.info.run_id), edges=())
    assert kept
    assert all(type(layer).__module__.startswith("zarr") for layer in kept)
