"""Identity of visitors, and the owners of jobs and runs: users if ``st.login`` is configured, otherwise browsers.

There is no login by default, so this prevents accidents, not abuse. The token in Streamlit's XSRF cookie identifies a
browser: it survives reloads, other tabs and restarts of the server. Only hashes of tokens and addresses are stored.
"""

from __future__ import annotations

import hashlib
from typing import TypedDict

import streamlit as st
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from app import session

_MOST_LETTERS = 80  # of a name shown to others


class Owner(TypedDict):
    """Keyword arguments that name the owner, for `app.background.jobs.Jobs.submit`."""

    owner: str
    """A hash."""
    owner_name: str
    """Name shown to others; empty without a login."""


def visitor() -> Owner:
    """The current visitor."""
    user = st.user.to_dict()
    if user.get("is_logged_in"):
        name = str(user.get("email") or user.get("name") or "")
        return Owner(
            owner=_hash("user", str(user.get("iss", "")), str(user.get("sub") or name)),
            owner_name=name[:_MOST_LETTERS],
        )
    # the cookie masks the same token differently each time
    token, _ = decode_xsrf_token_string(st.context.cookies.get(XSRF_COOKIE_NAME, ""))
    return Owner(owner=_hash("browser", token.hex() if token else session.visit()), owner_name="")


def is_mine(owner: str) -> bool:
    """Whether this visitor is the owner, or the owner is unknown."""
    return owner in ("", visitor()["owner"])


def by_whom(owner: str, owner_name: str) -> str:
    """``by anna@lab``, ``by another visitor``; empty for the visitor's own."""
    return "" if is_mine(owner) else f"by {owner_name or 'another visitor'}"


def whose(owner: str, owner_name: str) -> str:
    """A sentence that names the owner, for confirmations; empty for the visitor's own."""
    return "" if is_mine(owner) else f"{owner_name or 'Another visitor'} started it."


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
