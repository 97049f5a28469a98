"""The glossary under "?" in the sidebar; the docs show the same texts."""

from __future__ import annotations

import streamlit as st

from app import ROOT

HEIGHT = 420
SEARCH_KEY = "glossary.search"


def terms() -> dict[str, str]:
    """Explanation of each term by its name, from ``docs/glossary.md``: a heading of level two per term."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {name.strip(): explanation.strip() for name, _, explanation in parts}


def matching(found: dict[str, str], wanted: str) -> dict[str, str]:
    """The terms that contain the words, in their name or explanation; those with a match in the name first."""
    words = wanted.casefold().split()
    hits = {
        name: text
        for name, text in found.items()
        if all(word in f"{name} {text}".casefold() for word in words)
    }
    return dict(sorted(hits.items(), key=lambda hit: not all(word in hit[0].casefold() for word in words)))


@st.fragment
def glossary() -> None:
    """A popover with all terms and a search box; a search redraws only this part."""
    with st.popover("Glossary", icon=":material/help:", width="stretch"):
        wanted = st.text_input("Search", key=SEARCH_KEY, placeholder="Term or word", max_chars=60)
        hits = matching(terms(), wanted)
        with st.container(height=HEIGHT, border=False):
            if hits:
                st.markdown("\n\n".join(f"**{name}.** {text}" for name, text in hits.items()))
            else:
                st.caption("No term matches.")
