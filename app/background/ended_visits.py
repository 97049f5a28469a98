"""Lets go of what Streamlit holds open for visits that have ended, so that the server never runs out of open files.

Streamlit keeps a visit for two minutes after its connection has ended, for a browser that comes back. It then holds an
event loop, three open files, though a visit without a page to draw needs none: eighty visits end a server that may open
256 files, macOS's usual limit.
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
def let_go() -> None:
    """Begin; once a process."""
    open_files.raise_limit()  # `deepvelo app` has done it, and says where it cannot
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(_BRIEFLY)
    manager = getattr(runtime.get_instance(), "_session_mgr", None) if runtime.exists() else None
    if manager is not None:  # there is none where a page runs without a server
        manager._session_storage = _Storage(manager._session_storage)


class _Storage(SessionStorage):
    """Ended visits as Streamlit stores them, without their event loops."""

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
        if info is not None and info.session._script_event_loop.is_closed():  # its browser comes back
            info.session._script_event_loop = asyncio.new_event_loop()

    def list(self) -> list[SessionInfo]:
        return self._storage.list()

    def _close(self, session: AppSession) -> None:
        if self._storage.get(session.id) is None:  # it came back, or is gone for good
            return
        if session._scriptrunner is not None:  # the page is still being drawn, and stops soon
            asyncio.get_running_loop().call_later(0.1, self._close, session)
        else:
            session._script_event_loop.close()


class _Briefly(logging.Filter):
    """One sentence in the place of the thousands of tracebacks a second that are logged while no file can be opened."""

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
