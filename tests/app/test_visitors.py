from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from app import session, visitors

TOKENS = {"anna": b"a" * 16, "ben": b"b" * 16}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch):
    """Who looks at the page: ``seen(cookie=..., user=...)``."""

    def look(*, cookie: str | None = None, visit: str = "visit", **user: object) -> visitors.Owner:
        cookies = {} if cookie is None else {"_streamlit_xsrf": cookie}
        monkeypatch.setattr(st, "context", SimpleNamespace(cookies=cookies))
        monkeypatch.setattr(st, "user", SimpleNamespace(to_dict=lambda: user))
        monkeypatch.setattr(session, "visit", lambda: visit)
        return visitors.visitor()

    return look


def cookie(name: str) -> str:
    """As the server sends it: behind another mask each time."""
    return generate_xsrf_token_string(TOKENS[name])


def test_a_browser_is_known_again_and_told_from_others(seen):
    assert cookie("anna") != cookie("anna")
    anna = seen(cookie=cookie("anna"), visit="first")
    assert seen(cookie=cookie("anna"), visit="second tab") == anna
    assert seen(cookie=cookie("ben"))["owner"] != anna["owner"]
    assert anna["owner_name"] == ""
    assert TOKENS["anna"].hex() not in anna["owner"]


@pytest.mark.parametrize("odd", [None, "", "2|x", "2|zz|zz|zz", "nonsense", "ÿ|" * 1000])
def test_without_a_cookie_a_visit_is_a_visitor(seen, odd):
    assert seen(cookie=odd, visit="a") == seen(cookie=odd, visit="a")
    assert seen(cookie=odd, visit="a") != seen(cookie=odd, visit="b")


def test_a_user_is_known_in_every_browser_by_name(seen):
    anna = seen(cookie=cookie("anna"), is_logged_in=True, email="anna@lab", iss="https://x", sub="1")
    assert seen(cookie=cookie("ben"), is_logged_in=True, email="anna@lab", iss="https://x", sub="1") == anna
    assert anna["owner_name"] == "anna@lab"
    assert "anna" not in anna["owner"]
    others = seen(is_logged_in=True, email="anna@lab", iss="https://y", sub="1")
    assert others["owner"] != anna["owner"]
    assert seen(cookie=cookie("anna"), is_logged_in=False)["owner_name"] == ""


def test_whose_it_is(seen):
    mine = seen(cookie=cookie("anna"))["owner"]
    assert visitors.whose(mine, "anna@lab") == ""
    assert visitors.whose("", "") == ""  # nobody knows
    assert visitors.whose("other", "") == "Another visitor started it."
    assert visitors.whose("other", "ben@lab") == "ben@lab started it."
