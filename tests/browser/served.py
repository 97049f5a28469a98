"""The real app, served and shown in a real Chromium; for tests and for the screenshots of the README."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300
STOP_SECONDS = 20
WINDOW = {"width": 1440, "height": 900}
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]


def chromium_path() -> str | None:
    """Where the system's Chromium is, None if it has none."""
    usual = Path("/usr/bin/chromium")
    return shutil.which("chromium") or (str(usual) if usual.exists() else None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium that draws WebGL."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(*, data: Path, runs: Path, log: Path) -> Iterator[str]:
    """Serve the app on a free port of this machine; its address.

    Parameters
    ----------
    data, runs
        The server's data folder and run store.
    log
        File for what the server prints.

    Raises
    ------
    RuntimeError
        The server does not start; the message ends with what it printed.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"DEEPVELO_DATA": str(data), "DEEPVELO_RUNS": str(runs)}
    environment.pop("DEEPVELO_SCHEDULER", None)
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.headless", "true"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--server.port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group, so that no worker outlives it
        )
    try:
        _wait_for(f"{address}/_stcore/health", server=server, log=log)
        yield address
    finally:
        _stop(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, *, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    msg = f"The app did not start. It printed:\n{log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(msg)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, as Ctrl-C does, then end what is left of its group."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    server.wait()
