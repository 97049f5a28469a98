"""``deepvelo app``: what it refuses and says before it serves, and the process it becomes."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deepvelo import cli, open_files
from deepvelo.commands.app import access_note, require_scheduler_address
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from tests.full_disk import FullDisk
from tests.stored import save_made_up
from tests.visits import free_port, serving

OTHERS = "Everyone who reaches"
NO_SAMPLE = "The sample was not fitted"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would have been served, by host, port and environment."""
    served: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cli, "serve", lambda *told: served.append(told))
    return served


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where someone listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    "address", ["tcp://lab:8786", "tls://lab.example.org:8786", "tls://10.0.0.7:1", "tcp://[::1]:8786"]
)
def test_addresses_of_schedulers(address: str) -> None:
    require_scheduler_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "lab", "lab:8786", "http://lab:8786", "inproc://1/2/3", "tls://", "tls://lab", "tls://:8786", "tls://lab:0",
        "tls://lab:99999", "tls://lab:port", "tcp://lab:8786/status", "tcp://me@lab:8786", "tls://[::1:8786", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_scheduler_is_one_sentence(address: str) -> None:
    with pytest.raises(
        InputError, match=r"is not the address of a Dask scheduler\. Write it as tls://HOST:PORT"
    ):
        require_scheduler_address(address)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scheduler", "lab"], "'lab' is not the address"),
        (["--host", "192.0.2.7"], "cannot listen at '192.0.2.7'"),
        (["--host", "no such host"], "cannot listen at 'no such host'"),
        (["--port", "{taken}"], "Another program listens at port {taken}"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_else(
    deepvelo: Callable[..., int], capfd: Any, tmp_path: Path, served: list[Any], taken: int,
    options: list[str], message: str,
) -> None:  # fmt: skip
    options = [option.format(taken=taken) for option in options]
    assert deepvelo("app", "--runs", tmp_path, *options) == 2
    assert message.format(taken=taken) in capfd.readouterr().err
    assert served == []
    assert list(tmp_path.iterdir()) == []


def test_who_can_open_the_app_is_said() -> None:
    for host in ("127.0.0.1", "127.0.0.5", "::1", "localhost"):
        assert access_note(host, 8501).startswith("Only users of this machine")
    for host in ("0.0.0.0", "::", "192.0.2.7", "lab"):
        assert access_note(host, 8501).startswith(f"{OTHERS} {host}, port 8501")


def broken_sample(patch: pytest.MonkeyPatch, store: Path) -> None:
    patch.setattr(DataSource, "load", lambda _: {}["spliced"])


def failing_fit(patch: pytest.MonkeyPatch, store: Path) -> None:
    patch.setattr(DataSource, "load", lambda _: None)
    patch.setattr(cli, "_run", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))


def full_disk(patch: pytest.MonkeyPatch, store: Path) -> None:
    patch.setattr(DataSource, "load", lambda _: None)
    FullDisk(patch, room=0)
    patch.setattr(
        Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )


def read_only(patch: pytest.MonkeyPatch, store: Path) -> None:
    def refuse(_: RunStore) -> None:
        raise InputError("The run store cannot be written to. Choose another folder.")

    patch.setattr(RunStore, "require_writable", refuse)


def no_folder(patch: pytest.MonkeyPatch, store: Path) -> None:
    store.write_text("not a folder")


@pytest.mark.parametrize("fault", [broken_sample, failing_fit, full_disk, read_only, no_folder])
def test_an_app_without_a_run_of_the_sample_starts_and_says_why(
    deepvelo: Callable[..., int], capfd: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    served: list[Any], fault: Callable[[pytest.MonkeyPatch, Path], None],
) -> None:  # fmt: skip
    port = free_port()
    with monkeypatch.context() as patch:
        fault(patch, tmp_path / "runs")
        assert deepvelo("app", "--runs", tmp_path / "runs", "--port", port) == 0
    told = capfd.readouterr().err
    assert told.count(NO_SAMPLE) == 1
    assert "Traceback" not in told
    ((host, asked, environment),) = served
    assert (host, asked) == ("127.0.0.1", port)
    assert environment["DEEPVELO_RUNS"] == str(tmp_path / "runs")


@pytest.mark.parametrize(("hard", "words"), [(256, "256 files at once"), (4096, "")])
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(hard: int, words: str) -> None:
    code = f"""
import resource
from deepvelo import open_files

resource.setrlimit(resource.RLIMIT_NOFILE, (128, {hard}))
print(open_files.raise_limit())
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, limits = done.stdout.splitlines()
    assert limits == str((hard, hard))
    assert words in said
    assert bool(said) == bool(words)


def test_a_system_that_names_no_limit_and_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited, tried = resource.RLIM_INFINITY, []

    def set_limit(_: int, limits: tuple[int, int]) -> None:
        tried.append(limits)
        if limits[0] == unlimited:
            raise ValueError("as macOS does")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, unlimited))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert open_files.raise_limit() == ""
    assert tried == [(unlimited, unlimited), (open_files.MACOS_MOST, unlimited)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_the_command_becomes_the_server_and_ends_with_it(tmp_path: Path, name: str) -> None:
    save_made_up(tmp_path / "runs")
    port, log = free_port(), tmp_path / "app.log"
    command = ["-m", "deepvelo", "app", "--port", str(port), "--runs", str(tmp_path / "runs")]
    with serving(command, port=port, log=log, STREAMLIT_SERVER_HEADLESS="true") as server:
        process = psutil.Process(server.pid)
        assert "streamlit" in process.cmdline()
        assert process.children(recursive=True) == []
        soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
        assert soft == hard
        listening = {c.laddr[:2] for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
        assert listening == {("127.0.0.1", port)}
        server.send_signal(getattr(signal, name))
        server.wait(10)
    told = log.read_text()
    assert "Only users of this machine can open the app" in told
    assert "Traceback" not in told
