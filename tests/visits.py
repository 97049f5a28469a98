"""The real server without a browser: started, visited over its websocket, asked what it holds open."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Subprotocol
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 300


def free_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str], *, port: int, log: Path, open_files: int = 0, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it answers at this port, and kill it at the end.

    Parameters
    ----------
    command
        Arguments of Python.
    log
        File for what it prints.
    open_files
        How many files it may hold open, with no way to raise that; 0 for as many as this process.
    environment
        Variables on top of those of this process.
    """
    words = [sys.executable, *command]
    if open_files:
        words = ["bash", "-c", f'ulimit -n {open_files} && exec "$@"', "-", *words]
    with log.open("wb") as out:
        server = subprocess.Popen(
            words, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out, preexec_fn=_hear_hangups
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not answers(port):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        yield server
    finally:
        server.kill()
        server.wait()


def _hear_hangups() -> None:
    """Tests may run under nohup, and children inherit that they ignore the signal."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def answers(port: int) -> bool:
    """Whether a Streamlit server says there that it is well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
            return True
    except OSError:
        return False


def visit(port: int, *, back_as: str = "", seconds: float = 300) -> str:
    """Open the first page over a websocket, wait until it is drawn, and leave; the session's id.

    Parameters
    ----------
    back_as
        Id of a session whose connection was lost.
    """
    tokens = (
        ["streamlit", "no-token", back_as] if back_as else ["streamlit"]
    )  # as Streamlit's page passes them
    session_id = ""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(
        address, subprotocols=[Subprotocol(token) for token in tokens], max_size=None, open_timeout=seconds
    ) as connection:
        asked = BackMsg()
        asked.rerun_script.query_string = ""
        connection.send(asked.SerializeToString())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            told = ForwardMsg()
            told.ParseFromString(connection.recv(timeout=seconds))
            if told.HasField("new_session"):
                session_id = told.new_session.initialize.session_id
            if told.WhichOneof("type") == "script_finished":
                if told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return session_id
    raise TimeoutError
