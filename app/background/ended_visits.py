"""Closes the event loops that Streamlit keeps for ended visits, so that the server does not run out of open files.

Streamlit keeps a session for two minutes after its connection has closed, in case the browser reconnects. Its event loop
holds three open files, which a disconnected session does not need: eighty of them exhaust macOS's usual limit of 256.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time

import streamlit as st
from streamlit import runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionInfo, SessionStorage

from deepvelo import open_files

SECONDS_BETWEEN_NOTES = 10
FULL = (
    "No more files can be opened, so new visitors wait until others leave. "
    "Close browser tabs, or start the app with a higher limit (`ulimit -n`)."
)


@st.cache_resource(show_spinner=False)
def close_event_loops() -> None:
    """Install the session storage; once per process."""
    open_files.raise_limit()  # `deepvelo app` did it, and reports failures
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(_BRIEFLY)
    manager = getattr(runtime.get_instance(), "_session_mgr", None) if runtime.exists() else None
    if manager is not None:  # None without a server
        manager._session_storage = _Storage(manager._session_storage)


class _Storage(SessionStorage):
    """Streamlit's storage of ended sessions, without their event loops."""

    def __init__(self, storage: SessionStorage) -> None:
        self._storage = storage

    def get(self, session_id: str) -> SessionInfo | None:
        return self._storage.get(session_id)

    def save(self, session_info: SessionInfo) -> None:
        self._storage.save(session_info)
        self._close(session_info.session)

    def delete(self, session_id: str) -> None:
        info = self._storage.get(session_id)
        self._storage.delete(session_id)
        if info is not None and info.session._script_event_loop.is_closed():  # its browser reconnects
            info.session._script_event_loop = asyncio.new_event_loop()

    def list(self) -> list[SessionInfo]:
        return self._storage.list()

    def _close(self, session: AppSession) -> None:
        if self._storage.get(session.id) is None:  # it reconnected, or was deleted
            return
        if session._scriptrunner is not None:  # the page still runs and stops soon
            asyncio.get_running_loop().call_later(0.1, self._close, session)
        else:
            session._script_event_loop.close()


class _Briefly(logging.Filter):
    """Replaces the thousands of tracebacks per second that are logged when no file can be opened by one sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._noted = -float("inf")

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            return True
        if time.monotonic() - self._noted < SECONDS_BETWEEN_NOTES:
            return False
        self._noted = time.monotonic()
        record.msg, record.args, record.exc_info = FULL, (), None
        return True


_BRIEFLY = _Briefly()
