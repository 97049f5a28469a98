from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepvelo import memory, plan
from deepvelo.config import PRESETS, PUBLISHED, Settings, ablation, replace
from deepvelo.errors import InputError


def test_estimate_grows_with_cells_genes_and_candidates():
    base = memory.estimate_memory(10_000, 2000, Settings())
    dense = 4 * 10_000 * 2000
    assert memory.estimate_memory(20_000, 2000, Settings()) - base >= 6 * dense
    assert memory.estimate_memory(10_000, 4000, Settings()) - base >= 6 * dense
    for preset, each in (
        ("default", 8),
        ("published", 96),
    ):  # indices alone, or what goes with them in genes, too
        fewer, more = (
            memory.estimate_memory(10_000, 2000, replace(PRESETS[preset], {"graph": {"n_candidates": n}}))
            for n in (120, 150)
        )
        assert more - fewer == each * 10_000 * 30


def test_all_cells_at_once_take_more_memory_than_batches():
    at_once = replace(Settings(), {"training": {"batch_cells": 10_000}})
    more = memory.estimate_memory(10_000, 2000, at_once) - memory.estimate_memory(10_000, 2000, Settings())
    assert more == 4 * 10_000 * 2000


def test_inputs_that_are_not_standardised_stay_in_single_precision():
    half = memory.estimate_memory(10_000, 2000, Settings())
    with ablation(standardize_inputs=False):
        more = memory.estimate_memory(10_000, 2000, Settings()) - half
    assert more == 4 * 10_000 * 2000


@pytest.mark.parametrize(("n_cells", "anchors"), [(2000, 2000), (20_000, 5000)])
def test_anchors_take_sums_and_rates_of_every_gene_unless_targets_are_reassigned(n_cells, anchors):
    once = memory.estimate_memory(n_cells, 1000, Settings())
    with ablation(reassign_every=1):
        again = memory.estimate_memory(n_cells, 1000, Settings())
    assert once - again == (3 * 8 + 2 * 4) * anchors * 1000


def test_the_released_network_keeps_a_byte_for_each_rate_of_a_step():
    in_batches = replace(PUBLISHED, {"training": {"batch_cells": 1000}})
    more = memory.estimate_memory(10_000, 2000, PUBLISHED) - memory.estimate_memory(10_000, 2000, in_batches)
    assert more == 3 * 9000 * 2000


def test_from_disk_what_the_training_reads_takes_no_more_memory():
    n_cells = plan.MOST_IN_MEMORY // (2 * 4 * 2000)
    edge, beyond = (memory.estimate_memory(n, 2000, Settings()) for n in (n_cells, 2 * n_cells))
    assert beyond < 2 * edge - 1.5 * 2**30


def test_without_a_folder_moments_stay_in_memory():
    on_disk = memory.estimate_memory(200_000, 4000, Settings())
    without = memory.estimate_memory(200_000, 4000, Settings(), plan.Machine(has_scratch=False))
    assert without - on_disk == 2 * (4 * 200_000 * 4000 - plan.MOST_IN_MEMORY // 2)


def test_fewer_genes_never_count_more():
    counted = [memory.estimate_memory(200_000, n_genes, Settings()) for n_genes in range(1300, 1400)]
    assert counted == sorted(counted)


PROGRAM = """
import ctypes, sys, threading, time
from pathlib import Path
import numpy, psutil, scipy.sparse, torch
from anndata import AnnData
from deepvelo import keys, plan
from deepvelo.tl.velocity.fit import fit_velocity
from deepvelo.config import PRESETS, replace
from deepvelo.arrays.layers import new_layer
from deepvelo.memory import MemoryMeter, estimate_memory
from deepvelo.arrays import on_disk
from deepvelo.model.graph import cell_graph

folder, preset, n_cells, n_genes, most_in_memory, alive = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
plan.MOST_IN_MEMORY = most_in_memory
cell_graph._BLOCK_BYTES = on_disk._BLOCK_BYTES = 2**24

def fit(n_cells, n_genes, name, n_components, n_candidates):
    rng = numpy.random.default_rng(0)
    adata = AnnData(shape=(n_cells, n_genes))
    for key in (keys.MS, keys.MU):
        adata.layers[key] = new_layer(adata.shape, path=folder / name / key)
        adata.layers[key][:] = rng.random((n_cells, n_genes), dtype=numpy.float32)
    adata.obsp[keys.CONNECTIVITIES] = scipy.sparse.eye(n_cells, k=1, format="csr", dtype=numpy.float32)
    adata.obsp[keys.CONNECTIVITIES] = adata.obsp[keys.CONNECTIVITIES] + adata.obsp[keys.CONNECTIVITIES].T
    few = {"preparation": {"n_components": n_components}, "graph": {"n_candidates": n_candidates}}
    settings = replace(PRESETS[preset], {"training": {"n_epochs": 2}} | few)
    fit_velocity(adata, settings=settings, scratch=folder / name)
    return settings

def give_back():
    # The C library keeps arrays that are gone for later, up to 32 MB each.
    while True:
        ctypes.CDLL(None).malloc_trim(0)
        time.sleep(0.02)

torch.set_num_threads(1)
fit(200, 40, "libraries", 5, 10)
if alive:
    threading.Thread(target=give_back, daemon=True).start()
before = psutil.Process().memory_info().rss  # the system's own peak begins with that of the process that started this one
with MemoryMeter() as meter:
    settings = fit(n_cells, n_genes, "layers", 20, 60)
print(meter.peak - before, estimate_memory(n_cells, n_genes, settings))
"""


def fit_of(
    folder: Path,
    preset: str,
    n_cells: int,
    n_genes: int,
    *,
    most_in_memory: int = plan.MOST_IN_MEMORY,
    alive: bool = False,
) -> tuple[int, int]:
    """Bytes that a fit in a process of its own takes, or of those only what is ``alive`` at once, and the estimate."""
    arguments = map(str, (folder, preset, n_cells, n_genes, most_in_memory, int(alive)))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    taken, estimated = map(int, ended.stdout.split())
    return taken, estimated


@pytest.mark.slow  # two fits of some thousand cells, each in a process of its own
@pytest.mark.parametrize(
    ("preset", "n_cells", "n_genes"), [("default", 2000, 1000), ("published", 5000, 1500)]
)
def test_a_fit_takes_no_more_than_estimated(preset, n_cells, n_genes, tmp_path):
    """Moments, targets and training; of the rest of a run only what the estimate sets aside for a cell is not used."""
    taken, estimated = fit_of(tmp_path, preset, n_cells, n_genes)
    assert 0.3 * estimated < taken < estimated


@pytest.mark.slow
def test_a_fit_from_disk_takes_no_more_than_estimated(tmp_path):
    taken, estimated = fit_of(tmp_path, "default", 10_000, 1500, most_in_memory=0)
    assert 0.3 * estimated < taken < estimated


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only that C library can be told to keep nothing"
)
def test_a_fit_from_disk_takes_less_by_the_moments_and_what_the_network_sees(tmp_path):
    in_memory, _ = fit_of(tmp_path / "memory", "default", 10_000, 1500, alive=True)
    from_disk, _ = fit_of(tmp_path / "disk", "default", 10_000, 1500, most_in_memory=0, alive=True)
    moments, inputs = 2 * 4 * 10_000 * 1500, 2 * 2 * 10_000 * 1500
    assert in_memory - from_disk > 0.85 * (moments + inputs)


VERSIONS = {
    "1": (
        "4:cpu,memory:/jobs/7\n1:cpuset:/other\n0::/\n",
        "memory",
        "limit_in_bytes",
        "usage_in_bytes",
        "total_",
    ),
    "2": ("0::/jobs/7\n", ".", "max", "current", ""),
}


@pytest.fixture
def free(monkeypatch):
    """What the machine has free."""
    machine = memory.psutil.virtual_memory()._replace(available=2_000_000)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: machine)
    return machine.available


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("limited", ["jobs/7", "jobs", "."], ids=["own", "above", "container"])
def test_a_groups_limit_counts_without_what_can_be_given_up(tmp_path, monkeypatch, version, limited):
    own, under, limit, usage, of_all = VERSIONS[version]
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    for folder, bytes_ in (("jobs/7", "max"), ("jobs", 2**63 - 4096), (limited, 1_000_000)):
        group = tmp_path / "groups" / under / folder
        group.mkdir(parents=True, exist_ok=True)
        (group / f"memory.{limit}").write_text(f"{bytes_}\n")
        (group / f"memory.{usage}").write_text("700000\n")
        (group / "memory.stat").write_text(
            f"anon 100000\n{of_all}inactive_file 500000\n{of_all}active_file 60000\n"
        )
    assert memory.available_memory() == 1_000_000 - 700_000 + 560_000


@pytest.mark.parametrize("own", ["0::/\n", "3:cpuset:/job\n", None])
def test_without_a_limit_the_machine_decides(tmp_path, monkeypatch, free, own):
    if own:
        (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    assert memory.available_memory() == free


def test_too_large_a_fit_is_refused_with_numbers(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 2**30)
    memory.require_memory(3000, 2000, Settings())
    with pytest.raises(
        InputError,
        match=r"100,000 cells and 2,000 genes needs about \d\.\d GB.*Found 4\.0 GB free\. Lower `preparation",
    ):
        memory.require_memory(100_000, 2000, Settings())


def test_the_remedies_are_enough(monkeypatch):
    at_once = replace(Settings(), {"training": {"batch_cells": 100_000}})
    needed = memory.estimate_memory(100_000, 2000, at_once)
    monkeypatch.setattr(memory, "available_memory", lambda: int(0.95 * needed))
    with pytest.raises(InputError) as refusal:
        memory.require_memory(100_000, 2000, at_once)
    said = re.search(
        r"\. Lower `training.batch_cells` to (\d+) \(about ([\d.]+) GB\), lower `preparation.n_top_genes` to ([\d,]+), "
        r"take fewer cells, or use a larger machine\.$",
        str(refusal.value),
    )
    batch, gigabytes, n_genes = said.groups()
    smaller = replace(at_once, {"training": {"batch_cells": int(batch)}})
    memory.require_memory(100_000, 2000, smaller)
    assert float(gigabytes) == pytest.approx(memory.estimate_memory(100_000, 2000, smaller) / 2**30, abs=0.05)
    most = int(n_genes.replace(",", ""))
    memory.require_memory(100_000, most, at_once)
    with pytest.raises(InputError):
        memory.require_memory(100_000, most + 1, at_once)


def test_a_smaller_batch_is_no_remedy_where_it_saves_nothing(monkeypatch):
    at_once = replace(Settings(), {"training": {"batch_cells": 3000}})
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with ablation(standardize_inputs=False), pytest.raises(InputError) as refusal:
        memory.require_memory(3000, 2000, at_once)
    assert "batch_cells" not in str(refusal.value)
    assert "Lower `preparation.n_top_genes`, take fewer cells" in str(refusal.value)


def test_a_limit_of_the_process_counts(monkeypatch):
    """As batch systems set it with ``ulimit -v``, and the app for what visitors bring."""
    resource = pytest.importorskip("resource")
    used = memory.psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 2**20, resource.RLIM_INFINITY))
    assert memory.available_memory() <= 2**20 + 2**24
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 1))
    assert memory.available_memory() == 0
