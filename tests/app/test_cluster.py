from __future__ import annotations

import pytest
from distributed.system import MEMORY_LIMIT

from app import cluster
from app.cluster import LocalWorkers
from app.resources import GPU, MEMORY


@pytest.mark.parametrize("has_gpu", [False, True])
def test_workers_of_this_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch, *, has_gpu: bool) -> None:
    monkeypatch.setattr(cluster, "_has_gpu", lambda: has_gpu)
    (alone,) = LocalWorkers(1).resources
    assert alone == {MEMORY: MEMORY_LIMIT} | ({GPU: 1.0} if has_gpu else {})
    assert LocalWorkers(3).resources == [{MEMORY: MEMORY_LIMIT // 3}] * 3
