from __future__ import annotations

import pytest

from app.background.resources import GPU, MEMORY, Place, problem, requested
from deepvelo.config import Settings, replace

GB = 2.0**30
ON_GPU = replace(Settings(), {"training": {"device": "cuda"}})
SMALL, LARGE = {MEMORY: 8 * GB}, {MEMORY: 64 * GB}
WITH_GPU = {MEMORY: 16 * GB, GPU: 1.0}


def test_only_what_a_worker_declares_is_requested():
    assert requested(Settings(), [], memory=5) == {}
    assert requested(ON_GPU, [{}, {}], memory=5) == {}
    assert requested(ON_GPU, [{"LICENCE": 1.0}, {GPU: 2.0}], memory=5) == {GPU: 1.0}
    assert requested(ON_GPU, [{}, SMALL], memory=5) == {MEMORY: 5.0}
    assert requested(ON_GPU, [SMALL, WITH_GPU], memory=5) == {MEMORY: 5.0, GPU: 1.0}
    assert requested(ON_GPU, [WITH_GPU], memory=0) == {GPU: 1.0}


@pytest.mark.parametrize("changes", [{"training": {"device": "auto"}}, {"method": "dynamical"}])
def test_a_gpu_is_requested_only_where_the_fit_insists_on_one(changes):
    assert requested(replace(ON_GPU, changes), [WITH_GPU], memory=5) == {MEMORY: 5.0}


def test_a_job_that_some_worker_can_do_has_no_problem():
    assert problem({}, []) == problem({}, [{}]) == ""
    assert problem({MEMORY: 99 * GB}, []) == ""  # one may join
    assert problem({MEMORY: 64 * GB}, [SMALL, LARGE]) == ""
    assert problem({MEMORY: 16 * GB, GPU: 1.0}, [LARGE, WITH_GPU]) == ""


def test_a_job_that_none_can_do_says_what_is_missing_and_what_to_do():
    words = problem({MEMORY: 65 * GB}, [SMALL, LARGE, {}])
    assert words == (
        "This job requests about 65.0 GB of memory. The largest connected worker declares 64.0 GB. "
        "Lower `preparation.n_top_genes`, use fewer cells, or start a worker with more memory."
    )
    # each is there, but not in one place
    words = problem({MEMORY: 32 * GB, GPU: 1.0}, [LARGE, WITH_GPU])
    assert (
        "about 32.0 GB of memory and a GPU. The largest connected worker with a GPU declares 16.0 GB."
        in words
    )
    words = problem({MEMORY: GB, GPU: 1.0}, [LARGE, {}])
    assert "No connected worker declares a GPU. Set `training.device` to auto" in words


def test_the_place_in_words():
    requests = {MEMORY: 2.5 * GB, GPU: 1.0}
    place = Place(scheduler="tcp://lab:8786", workers=[WITH_GPU, SMALL, SMALL], requests=requests)
    for words in ("tcp://lab:8786", "one of its 3 workers", "requests about 2.5 GB of memory and a GPU"):
        assert words in place.in_words()
    assert place.problem == ""
    assert "no worker declares resources" in Place(scheduler="s", workers=[{}], requests={}).in_words()
    assert "No worker is connected" in Place(scheduler="s", workers=[], requests={}).in_words()


def test_a_scheduler_without_tls_is_warned_of():
    for address in ("tcp://lab:8786", "tcp://127.0.0.1:8786", "ws://lab:8786"):
        warning = Place(scheduler=address, workers=[], requests={}).warning
        assert f"Anyone who can reach {address} can run programs as you" in warning
        assert "tls://" in warning
    assert Place(scheduler="tls://lab:8786", workers=[], requests={}).warning == ""
