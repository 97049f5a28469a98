"""The CPU is taken where a GPU is not there, or has too little memory and was not asked for."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from deepvelo.errors import InputError
from deepvelo.model import device as module
from deepvelo.model.device import choose_device, on_device
from deepvelo.model.large_data.parallel import ProcessGroup


@pytest.fixture
def small_gpu(monkeypatch):
    """A GPU whose memory runs out; the devices that were tried."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    small = SimpleNamespace(total_memory=3 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: small)
    return []


def work(tried, device):
    tried.append(device.type)
    if device.type == "cuda":
        raise torch.OutOfMemoryError
    return "done"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said_so(caplog):
    with pytest.raises(InputError, match="no CUDA GPU was found"):
        choose_device("cuda")
    with caplog.at_level(logging.INFO):
        assert choose_device("auto") == torch.device("cpu")
    assert "the CPU is used" in caplog.text


def test_the_cpu_goes_on_where_a_gpus_memory_runs_out(small_gpu, caplog):
    assert on_device(lambda device: work(small_gpu, device), asked="auto") == "done"
    assert small_gpu == ["cuda", "cpu"]
    assert "The memory of the GPU ran out" in caplog.text


@pytest.mark.parametrize(("asked", "size"), [("cuda", 1), ("auto", 2)], ids=["asked for", "one of several"])
def test_a_gpu_that_was_asked_for_is_not_given_up_in_silence(small_gpu, monkeypatch, asked, size):
    monkeypatch.setattr(module, "process_group", lambda: ProcessGroup(size=size))
    with pytest.raises(InputError, match=r"The memory of the GPU ran out. It has 3\.0 GB.*batch_cells"):
        on_device(lambda device: work(small_gpu, device), asked=asked)
    assert small_gpu == ["cuda"]


def test_work_on_the_cpu_is_done_once(caplog):
    tried = []
    assert on_device(lambda device: work(tried, device), asked="cpu") == "done"
    assert tried == ["cpu"]
    assert not caplog.text
