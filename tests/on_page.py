"""Questions to a page in a test: what it says, what it offers."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest


def fine(page: AppTest) -> AppTest:
    """The page, which has neither broken nor complained."""
    assert not page.exception
    assert not page.error
    return page


def words(page: AppTest) -> str:
    """All text and captions, without the marks that keep user text from being markup."""
    return plain(" ".join(text.value for text in [*page.markdown, *page.caption]))


def plain(markdown: str) -> str:
    """What `app.shared.text.escape` was given, of names without backslashes."""
    return re.sub(r":color\[(\\?.)\]", r"\1", markdown).replace("\\", "")


def labels(page: AppTest) -> list[str]:
    """Of the buttons."""
    return [button.label for button in page.button]


def press(page: AppTest, label: str) -> AppTest:
    """The page after a click."""
    return next(button for button in page.button if button.label == label).click().run()
