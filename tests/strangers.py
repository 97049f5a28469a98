"""What a stranger on this machine gets from addresses where the app's processes listen: ``strangers.py USER ADDRESS...``.

Prints, as JSON, everything that came back or ran; nothing should. It is a program so that it can become another user.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.comm import connect
from distributed.protocol.pickle import dumps
from distributed.security import Security

SECONDS = 2
PATHS = ("", "health", "metrics", "json/counts.json", "info/main/workers.html", "status", "sitemap.json")
TLS_ALERT = 21  # the type of its record; 7 bytes say that the connection is refused


def main(user: str, addresses: list[str]) -> None:
    """Try everything at every address, as a user; nobody may be able to import this, so that comes first."""
    if user != pwd.getpwuid(os.geteuid()).pw_name:
        _try(["127.0.0.1:9"])
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    print(json.dumps(_try(addresses)))  # noqa: T201


def _try(addresses: list[str]) -> dict[str, str]:
    ways: dict[str, Callable[[str, int], Any]] = {
        "bytes": lambda host, port: _bytes(host, port, b"\n"),
        "HTTP": lambda host, port: _web(f"http://{host}:{port}"),
        "HTTPS": lambda host, port: _web(f"https://{host}:{port}"),
        "Dask": lambda host, port: _dask(f"tcp://{host}:{port}", Security()),
        "Dask with another certificate": lambda host, port: _dask(
            f"tls://{host}:{port}", Security.temporary()
        ),
        "TLS without a certificate": lambda host, port: _tls(host, port, ssl._create_unverified_context()),
        "TLS with another certificate": lambda host, port: _tls(host, port, _with_another_certificate()),
    }
    got = {}
    for address in addresses:
        host, port = address.rsplit(":", 1)
        for name, way in ways.items():
            try:
                answer = way(host, int(port))
            except Exception as error:  # noqa: BLE001  each refuses in its own way
                got[f"{name} refused"] = f"{type(error).__name__}: {error}"
            else:
                if answer:
                    got[f"{name} at {address}"] = repr(answer)
    return got


def _bytes(host: str, port: int, sent: bytes) -> bytes:
    with socket.create_connection((host, port), timeout=SECONDS) as connection:
        connection.sendall(sent)
        got = connection.recv(4096)
    return b"" if got[:1] == bytes([TLS_ALERT]) and len(got) == 7 else got


def _web(address: str) -> dict[str, str]:
    unchecked = ssl._create_unverified_context()
    got = {}
    for path in PATHS:
        try:
            with urllib.request.urlopen(f"{address}/{path}", timeout=SECONDS, context=unchecked) as answer:
                got[path] = answer.read(200).decode(errors="replace")
        except urllib.error.HTTPError as error:  # an answer too
            got[path] = str(error)
        except OSError:
            continue
    return got


def _tls(host: str, port: int, unchecked: ssl.SSLContext) -> bytes:
    with socket.create_connection((host, port), timeout=SECONDS) as plain:
        with unchecked.wrap_socket(plain) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return connection.recv(4096)


def _with_another_certificate() -> ssl.SSLContext:
    context = Security.temporary().get_connection_args("client")["ssl_context"]
    context.verify_mode = ssl.CERT_NONE
    return context


def _dask(address: str, security: Security) -> Any:
    """As a client of the scheduler, and as whoever asks a nanny, worker or scheduler to run a function."""

    async def ask() -> Any:
        arguments = security.get_connection_args("client") if security.tls_ca_file else {}
        comm = await connect(address, timeout=SECONDS, **arguments)
        await comm.write({"op": "run", "function": dumps(_who), "wait": True, "reply": True})
        return await asyncio.wait_for(comm.read(), SECONDS)

    got = []
    try:
        got.append(asyncio.run(ask()))
    except (OSError, TimeoutError):
        pass
    try:
        with Client(address, timeout=SECONDS, security=security, set_as_default=False) as client:
            got.append(client.run_on_scheduler(_who))
    except OSError:
        pass
    return got


def _who() -> str:
    return Path("/proc/self/status").read_text()[:200]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
