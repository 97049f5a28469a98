"""This machine's own scheduler and workers: what they declare, who may connect, how they end."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from distributed import Client
from distributed.system import MEMORY_LIMIT

from app.background import cluster
from app.background.cluster import LocalWorkers
from app.background.resources import GPU, MEMORY
from tests.visits import free_port, serving, visit

ROOT = Path(__file__).resolve().parents[3]
STRANGERS = ROOT / "tests" / "strangers.py"


@pytest.mark.parametrize("has_gpu", [False, True])
def test_workers_of_this_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch, *, has_gpu: bool) -> None:
    monkeypatch.setattr(cluster, "_has_gpu", lambda: has_gpu)
    (alone,) = LocalWorkers(1).resources
    assert alone == {MEMORY: MEMORY_LIMIT} | ({GPU: 1.0} if has_gpu else {})
    assert LocalWorkers(3).resources == [{MEMORY: MEMORY_LIMIT // 3}] * 3


def test_a_certificate_is_another_for_each_start_and_valid_whatever_the_clock_says() -> None:
    (one, key), (other, other_key) = cluster._certificate(), cluster._certificate()
    assert one != other
    assert key != other_key
    certificate = x509.load_pem_x509_certificate(one.encode())
    assert certificate.not_valid_before_utc <= datetime(1970, 1, 2, tzinfo=UTC)
    assert certificate.not_valid_after_utc >= datetime(9999, 1, 1, tzinfo=UTC)


class Running:
    """A scheduler in this process, with its nanny and worker."""

    def __init__(self) -> None:
        me = psutil.Process()
        before = {listener for listener in listening(me) if listener}
        self.workers = LocalWorkers(1)
        self.address = self.workers.start()
        self.client = Client(self.address, security=self.workers.security, set_as_default=False)
        self.client.wait_for_workers(1, timeout=300)
        assert self.workers._process is not None
        started = psutil.Process(self.workers._process.pid)
        self.processes = [started, *started.children(recursive=True)]
        self.listeners = {
            listener for process in [me, *self.processes] for listener in listening(process)
        } - before


def listening(process: psutil.Process) -> list[str]:
    """Where a process takes connections or datagrams, sockets with a name in the file system among them."""
    found = []
    for connection in process.net_connections("all"):
        if isinstance(connection.laddr, str):
            found += [connection.laddr] if connection.laddr else []
        elif connection.status == psutil.CONN_LISTEN or not connection.raddr:
            found.append(f"{connection.laddr.ip}:{connection.laddr.port}")
    return found


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.client.close()
    running.workers.close()


@pytest.mark.slow
def test_scheduler_nanny_and_worker_listen_at_one_address_each_and_nothing_else_does(
    running: Running,
) -> None:
    assert len(running.listeners) == 3, running.listeners
    assert all(listener.startswith("127.0.0.1:") for listener in running.listeners)
    (worker,) = running.client.scheduler_info(n_workers=-1)["workers"].values()
    known = {running.address, worker["nanny"], worker["address"] if "address" in worker else ""}
    assert {f"tls://{listener}" for listener in running.listeners} >= known - {""}
    assert running.client.run(os.getpid) != {}  # with the certificate everything works


@pytest.mark.slow
@pytest.mark.parametrize("user", [pwd.getpwuid(os.geteuid()).pw_name, "nobody"])
def test_strangers_get_no_answer_and_run_nothing(running: Running, user: str) -> None:
    answers = strangers(user, *running.listeners)
    assert [name for name in answers if not name.endswith("refused")] == []
    assert {"TLS without a certificate refused", "TLS with another certificate refused"} <= set(answers)


@pytest.mark.slow
def test_strangers_would_use_a_scheduler_without_tls() -> None:
    address = f"127.0.0.1:{(port := free_port())}"
    command = [
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-show",
    ]
    with subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL) as plain:
        try:
            wait_for(lambda: address in listening(psutil.Process(plain.pid)))
            answers = strangers(pwd.getpwuid(os.geteuid()).pw_name, address)
        finally:
            plain.kill()
    assert "Name:" in answers[f"Dask at {address}"]


@pytest.mark.slow
def test_the_key_is_in_no_file_command_line_or_environment(running: Running) -> None:
    secret = running.workers._key.splitlines()[1]
    for process in [psutil.Process(), *running.processes]:
        told = [*process.cmdline(), *process.environ().values()]
        assert not any(secret in text or "PRIVATE KEY" in text for text in told)
    for file in Path(tempfile.gettempdir()).glob("deepvelo-worker-*/**/*"):
        assert secret.encode() not in (file.read_bytes() if file.is_file() else b"")
    for folder in Path(tempfile.gettempdir()).glob("deepvelo-worker-*"):
        assert folder.stat().st_mode & 0o077 == 0


def strangers(user: str, *addresses: str) -> dict[str, str]:
    """What a user gets at these addresses who knows nothing but them."""
    if os.geteuid() not in (0, pwd.getpwnam(user).pw_uid):
        pytest.skip("only root can act as another user")
    command = [sys.executable, str(STRANGERS), user, *addresses]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for(done, *, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_that_are_killed_leave_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = Running()
    for process in running.processes:
        process.kill()
    psutil.wait_procs(running.processes, 10)
    running.client.close()
    running.workers.start()
    assert len(list(tmp_path.glob("deepvelo-worker-*"))) == 1
    running.workers.close()
    assert list(tmp_path.glob("deepvelo-worker-*")) == []


PAGE = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
import streamlit as st
from distributed import fire_and_forget
from app.shared import cached

def busy():
    Path({mark!r}).write_text(str(os.getpid()))
    time.sleep(1000)

@st.cache_resource
def begin():
    fire_and_forget(cached.jobs()._connection.client().submit(busy, pure=False))

begin()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_a_server_that_ends_takes_its_workers_and_their_files_along(tmp_path: Path, name: str) -> None:
    mark, page, port = tmp_path / "busy", tmp_path / "page.py", free_port()
    page.write_text(PAGE.format(root=str(ROOT), mark=str(mark)))
    (tmp_path / "temp").mkdir()
    command = ["-m", "streamlit", "run", str(page), "--server.headless", "true", "--server.port", str(port)]
    with serving(
        command,
        port=port,
        log=tmp_path / "server.log",
        DEEPVELO_RUNS=str(tmp_path / "runs"),
        DEEPVELO_SCHEDULER="",
        TMPDIR=str(tmp_path / "temp"),
    ) as server:
        visit(port)
        wait_for(mark.exists)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert int(mark.read_text()) in {process.pid for process in processes}
        assert len(processes) >= 3
        server.send_signal(getattr(signal, name))
        _, alive = psutil.wait_procs([p for p in processes if p.pid != server.pid], timeout=10)
        assert alive == []
        server.wait(10)
    left = [path.name for path in (tmp_path / "temp").glob("deepvelo-*")]
    assert left == []
    assert "Traceback" not in (tmp_path / "server.log").read_text(errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 1])
def test_workers_whose_server_ends_while_they_start_say_nothing_of_it(tmp_path: Path, seconds: int) -> None:
    local = LocalWorkers(1)
    try:
        request = {
            "scheduler": local.start(), "certificate": local._certificate, "key": local._key, "n_workers": 2,
            "options": {"nthreads": 1, "memory_limit": 2**30, "local_directory": str(tmp_path / "local")},
        }  # fmt: skip
        workers = subprocess.Popen(
            [sys.executable, "-m", "app.background.workers"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        workers.stdin.write(f"{json.dumps(request)}\n".encode())
        workers.stdin.flush()
        time.sleep(seconds)
        _, told = workers.communicate(timeout=30)  # ends its input
    finally:
        local.close()
    assert workers.returncode == 0
    assert "Traceback" not in told.decode()
