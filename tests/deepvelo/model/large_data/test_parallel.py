"""A process group trains as a single process does, and ends together."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from deepvelo.errors import InputError
from deepvelo.model.large_data import parallel
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup, process_group
from deepvelo.model.loss import Terms
from deepvelo.model.training import Fit
from tests.process_group import CASES, FROM_DISK, OWN, RELEASED, RESUMED, fitted, run_processes


@cache
def alone(name: str) -> Fit:
    return fitted(*CASES.get(name, (OWN, {})))


@pytest.fixture(scope="module", params=[2, 3])
def of_several(request, tmp_path_factory):
    """Weights and history of every case, of two and of three processes."""
    path = tmp_path_factory.mktemp("several") / "fits.pt"
    first, *others = run_processes("fit_all", str(path), n_processes=request.param)
    assert first.returncode == 0, first.stderr
    assert [line.split()[0] for line in first.stdout.splitlines()] == [
        "CancelledError",
        "InputError",
        "InputError",
    ]
    assert "The loss is not finite" in first.stdout
    assert [(other.returncode, other.stdout, other.stderr) for other in others] == [(0, "", "")] * len(others)
    return torch.load(path, weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "after others that ended badly"])
def test_several_processes_learn_what_one_does(of_several, name):
    require_alike(of_several[name], alone(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_DISK)
def test_several_processes_read_the_same_files(of_several, name):
    require_alike(of_several[f"{name}, from disk"], alone(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_several_processes_resume_from_a_checkpoint_as_if_nothing_had_happened(of_several, name):
    require_alike(of_several[f"{name}, resumed"], alone(name))


def require_alike(found: tuple[dict[str, torch.Tensor], list[Terms]], fit: Fit) -> None:
    weights, history = found
    assert len(history) == len(fit.history)
    for terms, expected in zip(history, fit.history, strict=True):
        assert terms == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for key, values in fit.weights.items():
        assert torch.allclose(weights[key], values, rtol=0, atol=2e-5), key


@pytest.mark.slow
def test_with_dropout_several_processes_learn_too(of_several):
    _, history = of_several["with dropout"]
    expected = fitted(RELEASED, {}).history
    assert history[-1]["total"] < history[0]["total"]
    assert history[-1]["total"] == pytest.approx(expected[-1]["total"], rel=0.05)


@pytest.mark.slow
def test_all_processes_end_when_the_main_process_fails_within_a_step():
    first, other = run_processes("fail_within_a_step")
    assert first.returncode == 1
    assert "no more memory" in first.stderr
    assert other.returncode != 0


@pytest.mark.slow
def test_others_end_silently_when_the_main_process_is_gone_before_training():
    first, other = run_processes("leave")
    assert first.returncode == 7
    assert (other.returncode, other.stderr) == (1, "")


def test_one_process_is_alone():
    assert process_group() is SINGLE_PROCESS
    values = torch.tensor([1.0, 2.0])
    SINGLE_PROCESS.all_reduce(values)
    assert values.tolist() == [1, 2]
    assert SINGLE_PROCESS.total(7) == 7
    assert not torch.distributed.is_initialized()


def test_what_stops_one_process_is_passed_on():
    with pytest.raises(KeyError), SINGLE_PROCESS.stop_all_with_main():
        raise KeyError


def test_shares_are_even_and_make_up_the_whole():
    cells = np.random.default_rng(0).permutation(50)
    parts = [ProcessGroup(rank=rank, size=4).share_of(cells) for rank in range(4)]
    assert sorted(len(part) for part in parts) == [12, 12, 13, 13]
    assert np.concatenate(parts).tolist() == cells.tolist()


@pytest.mark.parametrize(("fewest", "allowed"), [(3, False), (4, True)])
def test_more_processes_than_cells_in_a_step_are_refused(fewest, allowed):
    four = ProcessGroup(size=4, on_this_machine=4)
    if allowed:
        four.require(device=torch.device("cpu"), fewest_cells=fewest)
    else:
        with pytest.raises(InputError, match=r"Found 4 processes and steps of 3 cells\. Start fewer"):
            four.require(device=torch.device("cpu"), fewest_cells=fewest)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = torch.device("cuda")
    with pytest.raises(InputError, match="Found 4 processes and 2 GPUs on this machine"):
        ProcessGroup(size=4, on_this_machine=4).require(device=cuda, fewest_cells=100)
    ProcessGroup(size=4, on_this_machine=2).require(device=cuda, fewest_cells=100)


def test_work_that_is_sent_arrives_unchanged(monkeypatch):
    """Parameters, sparse and half-precision tensors, none at all; one that occurs twice goes over once."""
    sent = []
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda objects, **_: sent.append(objects))
    monkeypatch.setattr(torch.distributed, "broadcast", lambda part, **_: sent.append(part.clone()))
    monkeypatch.setattr(parallel, "_BLOCK_BYTES", 40)
    twice = torch.arange(12.0).view(3, 4)
    given = {
        "twice": (twice, twice),
        "columns": twice.T,
        "half": torch.tensor([[0.5, -2.0]], dtype=torch.float16),
        "truth": torch.tensor([True, False]),
        "number": torch.tensor(3),
        "nothing": torch.empty(0, 5),
        "sparse": twice.to_sparse_csr(),
        "network": torch.nn.Linear(3, 2),
    }
    parallel._send(given)

    def next_objects(objects, **_):
        objects[:] = sent.pop(0)

    monkeypatch.setattr(torch.distributed, "broadcast_object_list", next_objects)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda part, **_: part.copy_(sent.pop(0)))
    found = parallel._receive()
    assert sent == []
    assert found["twice"][0] is found["twice"][1]
    assert torch.equal(found["sparse"].to_dense(), twice)
    assert isinstance(found["network"].weight, torch.nn.Parameter)
    assert torch.equal(found["network"].weight, given["network"].weight)
    for key in ("columns", "half", "truth", "number", "nothing"):
        assert torch.equal(found[key], given[key]), key
        assert found[key].dtype == given[key].dtype
