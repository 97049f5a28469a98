"""Checks and messages of ``deepvelo app`` before it starts the server."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from typing import NoReturn
from urllib.parse import urlsplit

from deepvelo.errors import InputError
from deepvelo.places import ROOT

LOCALHOST = "127.0.0.1"


def require_streamlit() -> None:
    """Raise an `InputError` with the command to run where the package was installed without the app."""
    if find_spec("streamlit") is None:
        msg = 'The app is not installed. Run `pip install ".[app]"` in a clone of the project.'
        raise InputError(msg)


def require_scheduler_address(address: str) -> None:
    """Check the address of a Dask scheduler.

    Raises
    ------
    InputError
        The address is not ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    """
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
        rest = parts.path or parts.query or parts.fragment or parts.username is not None
    except ValueError:  # the port is not a number, or a bracket is not closed
        whole, rest = None, ""
    if not whole or rest:
        msg = (
            f"{address[:200]!r} is not the address of a Dask scheduler. "
            "Write it as tls://HOST:PORT, or tcp://HOST:PORT where connections need no encryption."
        )
        raise InputError(msg)


def require_free_port(host: str, port: int) -> None:
    """Check that the server can listen on a port, before anything that takes time.

    Raises
    ------
    InputError
        Another program listens on the port, the port needs administrator rights, or the host is not an address of this
        machine.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            if os.name == "posix":  # as the server does; on Windows it would hide that the port is taken
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            msg = (
                f"Another program listens at port {port}, perhaps this app. Choose another port with --port."
            )
        elif number == errno.EACCES:
            msg = f"This user may not listen at port {port}. Choose one above 1023 with --port."
        else:
            msg = (
                f"The app cannot listen at {host[:200]!r}: {error}. Give --host an address of this machine; "
                f"{LOCALHOST} is for this machine alone, 0.0.0.0 for the network."
            )
        raise InputError(msg) from None


def access_note(host: str, port: int) -> str:
    """A message on who can open the app."""
    if _is_loopback(host):
        return (
            f"Only users of this machine can open the app, at port {port}: it asks for no login. "
            "Use --host to open it to others."
        )
    return (
        f"Everyone who reaches {host}, port {port}, over the network can open the app, read its data and start fits: "
        "it asks for no login."
    )


def serve(host: str, port: int, environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the server, so that signals reach the server and it ends with the process."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py")]
    command += ["--server.address", host, "--server.port", str(port)]
    if not _is_loopback(host):
        command += ["--server.allowedHosts", "*"]  # the machine may have several host names
    os.chdir(ROOT)  # where Streamlit finds its settings
    if os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, command, dict(environment))
    sys.exit(subprocess.call(command, env=dict(environment)))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
