"""Visits that have ended hold nothing open, so a server with macOS's limit of open files goes on."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from app.background import ended_visits
from tests.visits import free_port, serving, visit

pytestmark = pytest.mark.slow

MACOS = 256
HANDSHAKE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: streamlit\r\n\r\n"
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "server.log"


@pytest.fixture(scope="module")
def port(log: Path) -> Iterator[int]:
    port = free_port()
    (log.parent / "data").mkdir()
    with serving(
        ["-m", "streamlit", "run", "app/main.py", "--server.headless", "true", "--server.port", str(port)],
        port=port,
        log=log,
        open_files=MACOS,
        DEEPVELO_DATA=str(log.parent / "data"),
        DEEPVELO_RUNS=str(log.parent / "runs"),
    ):
        visit(port)
        yield port


def n_open(port: int) -> int:
    (server,) = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
    }
    return psutil.Process(server).num_fds()


def soon(port: int, *, at_most: int) -> None:
    end = time.monotonic() + 10
    while n_open(port) > at_most:
        assert time.monotonic() < end, n_open(port)
        time.sleep(0.1)


def test_a_hundred_visits_leave_nothing_open(port: int) -> None:
    for _ in range(3):  # what the first ones open once
        visit(port)
    time.sleep(1)
    before = n_open(port)
    for _ in range(100):
        visit(port)
    soon(port, at_most=before)


def test_a_browser_whose_connection_broke_goes_on_as_the_same_visit(port: int, log: Path) -> None:
    first = visit(port)
    assert visit(port, back_as=first) == first
    assert visit(port) != first
    assert "event loop" not in log.read_text(errors="replace")


def visit_once_there_is_room(port: int) -> None:
    """The server has the crowd's files until it notices that they left."""
    for _ in range(20):
        try:
            return visit(port)
        except (OSError, ConnectionClosed):
            time.sleep(1)
    visit(port)


def test_a_crowd_that_takes_all_files_ends_nothing_for_those_who_come_later(port: int, log: Path) -> None:
    before = n_open(port)
    crowd = []
    for _ in range(MACOS + 50):
        crowd.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        crowd[-1].sendall(HANDSHAKE.encode())
    time.sleep(3)
    for visitor in crowd:
        visitor.close()
    visit_once_there_is_room(port)
    soon(port, at_most=before + 5)  # the server opens some of its own; the crowd opened hundreds
    assert 1 <= log.read_text(errors="replace").count(ended_visits.FULL) <= 2


def test_only_the_note_on_open_files_is_made_brief() -> None:
    full = OSError(errno.EMFILE, "Too many open files")
    brief = ended_visits._Briefly()
    records = [
        logging.LogRecord("asyncio", logging.ERROR, "", 0, "accept", (), (type(error), error, None))
        for error in (full, full, ValueError())
    ]
    assert [brief.filter(record) for record in records] == [True, False, True]
    assert [record.getMessage() for record in records] == [ended_visits.FULL, "accept", "accept"]
    assert records[0].exc_info is None
