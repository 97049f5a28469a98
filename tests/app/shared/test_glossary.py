"""The glossary in the sidebar."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from app.shared.glossary import SEARCH_KEY, matching, terms


def page() -> None:
    from app.shared.glossary import glossary

    glossary()


def test_every_term_has_an_explanation():
    found = terms()
    assert {"CBDir", "Latent time", "Target assignment"} <= found.keys()
    assert all(text.endswith(".") and "\n#" not in text for text in found.values())


def test_words_are_searched_in_names_first_and_in_explanations():
    found = {"Seed": "A number.", "Rate": "Per time.", "Time": "Latent; no seed."}
    assert list(matching(found, "time")) == ["Time", "Rate"]
    assert list(matching(found, "LATENT seed")) == ["Time"]
    assert list(matching(found, " ")) == list(found)
    assert matching(found, "nothing") == {}


def test_a_search_leaves_the_matching_terms():
    app = AppTest.from_function(page, default_timeout=30).run()
    assert "**Epoch.**" in app.markdown[0].value
    app.text_input(key=SEARCH_KEY).set_value("cbdir").run()
    assert app.markdown[0].value.startswith("**CBDir.**")
    app.text_input(key=SEARCH_KEY).set_value("zzz").run()
    assert not app.markdown
    assert "No term" in app.caption[0].value
