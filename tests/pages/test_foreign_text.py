"""Text of addresses, files and other visitors on pages: one sentence, shown as it is, whatever it holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared.text import escape
from tests import evil
from tests.on_page import plain, shown_gene

ROOT = Path(__file__).resolve().parents[2]
CHOICES = {"selectbox", "multiselect", "radio", "segmented_control", "pills"}
TEXTS = {
    "long": "x" * 100_000,
    "long_path": "../" * 30_000,
    "zero": "a\x00b",
    "turned": f"{evil.REVERSED}\u2066",
    "lines": "a\n\n# b\n\n- c\r\n```\nd",
    "evil": f"{evil.PICTURE} {evil.HTML} {evil.MARKS}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(("page", "name"), [("velocity", "run"), ("data", "data"), ("train", "data")])
def test_what_an_address_names_in_vain_is_one_sentence(server, queue, page, name, text):
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
    app.query_params[name] = text
    one_sentence(app.run(), text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_gene_and_a_colour_of_an_address_are_a_sentence_each(opened, text):
    app = opened("velocity")
    app.query_params["gene"] = app.query_params["color"] = text
    app.session_state["color"] = "gene"  # the gene is asked for
    one_sentence(app.run(), text)
    other = opened("velocity")
    other.query_params["color"] = text
    one_sentence(other.run(), text)


def one_sentence(app: AppTest, text: str) -> None:
    assert not app.exception
    (error,) = app.error
    assert len(error.value) < 1200
    assert "\n" not in error.value
    assert "\u202e" not in error.value
    assert error.value.endswith(
        ("Choose another run in the sidebar.", "list.", "listed there.", "page.", "spelling.")
    )
    assert plain(escape(repr(text)[1:30])).strip() in plain(error.value)


def test_a_parameter_given_twice_counts_once(opened):
    app = opened("velocity")
    app.query_params["gene"] = ["Cpe", "Actb"]
    app.query_params["color"] = "gene"
    app.run()
    assert not app.exception
    assert not app.error
    assert shown_gene(app) == "Actb"


def test_names_and_messages_of_jobs_are_text(server, queue):
    queue.put(
        "a", state="failed", name=evil.PICTURE, message=f"Group '{evil.MARKS}' is too small. {evil.HTML}"
    )
    queue.put("b", state="running", name=evil.MARKS, message=evil.PICTURE)
    queue.put("c", state="queued", name=evil.HTML, message=evil.HTML, queue_position=1)
    app = AppTest.from_function(_jobs, default_timeout=60).run()
    assert not app.exception
    told = [element.value for element in (*app.markdown, *app.caption, *app.error)]
    for name in (evil.PICTURE, evil.MARKS, evil.HTML):
        assert any(escape(name) in text for text in told)
        assert not any(name in text for text in told)


def _jobs() -> None:
    from app.shared.live_jobs import jobs_in_brief, live_jobs

    jobs_in_brief()
    live_jobs()


def calls(*names: str):
    """Calls of a method of Streamlit in pages and app, with their file."""
    for path in sorted([*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in names
            ):
                yield path, node


def test_tables_and_downloads_are_drawn_in_one_place():
    """There text is made safe for spreadsheets: see `app.shared.tables`."""
    found = {path.name for path, _ in calls("dataframe", "table", "data_editor", "download_button")}
    assert found == {"tables.py"}


def test_every_choice_says_how_its_options_are_shown():
    """Options that are no constants of the program need a ``format_func``, as `app.shared.text.box_labels` gives."""
    own = {"sweep.py", "kinetic_rates.py"}  # numbers, and spaces that this program names
    bare = [
        f"{path.name}:{call.lineno}"
        for path, call in calls(*CHOICES)
        if "format_func" not in {keyword.arg for keyword in call.keywords}
        and not is_constant(call.args[1])
        and path.name not in own
    ]
    assert bare == []


def is_constant(options: ast.expr) -> bool:
    if isinstance(options, ast.List | ast.Tuple):
        return all(isinstance(part, ast.Constant | ast.Name) or is_constant(part) for part in options.elts)
    if isinstance(options, ast.Starred):
        return is_constant(options.value)
    if isinstance(options, ast.Call):  # list(CONSTANT)
        return all(is_constant(part) for part in options.args)
    return isinstance(options, ast.Name) and options.id.isupper()


def test_no_page_shows_markup_or_a_picture_of_its_own_choice():
    """Ways to draw what Markdown would not: none is needed."""
    assert list(calls("html", "image", "iframe", "video", "audio", "link_button", "components")) == []
    assert not [
        path for path, call in calls("markdown", "caption") if "unsafe_allow_html" in str(ast.dump(call))
    ]
