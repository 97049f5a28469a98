"""Who asks, and whose a job or a run is: a user where ``st.login`` is configured, otherwise a browser.

Nobody logs in by default, so this protects from accidents, not from ill will. A browser is known by the token that
Streamlit keeps in its cookie against forged requests: a reload, another tab and a restarted server find the same visitor.
Only hashes of tokens and addresses are stored.
"""

from __future__ import annotations

import hashlib
from typing import TypedDict

import streamlit as st
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from app import session

_MOST_LETTERS = 80  # of a name that others are shown


class Owner(TypedDict):
    """Keyword arguments that say who asks, for `app.background.jobs.Jobs.submit`."""

    owner: str
    """A hash."""
    owner_name: str
    """What others are shown; empty for a visitor who is not logged in."""


def visitor() -> Owner:
    """Who looks at this page."""
    user = st.user.to_dict()
    if user.get("is_logged_in"):
        name = str(user.get("email") or user.get("name") or "")
        return Owner(
            owner=_hash("user", str(user.get("iss", "")), str(user.get("sub") or name)),
            owner_name=name[:_MOST_LETTERS],
        )
    # the cookie hides the same token behind another mask each time
    token, _ = decode_xsrf_token_string(st.context.cookies.get(XSRF_COOKIE_NAME, ""))
    return Owner(owner=_hash("browser", token.hex() if token else session.visit()), owner_name="")


def is_mine(owner: str) -> bool:
    """Whether this visitor asked for something, or nobody knows who did."""
    return owner in ("", visitor()["owner"])


def by_whom(owner: str, owner_name: str) -> str:
    """``by anna@lab``, ``by another visitor``; empty for what is the visitor's own."""
    return "" if is_mine(owner) else f"by {owner_name or 'another visitor'}"


def whose(owner: str, owner_name: str) -> str:
    """A sentence for a confirmation: whose it is; empty for what is the visitor's own."""
    return "" if is_mine(owner) else f"{owner_name or 'Another visitor'} started it."


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
