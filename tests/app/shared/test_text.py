"""A message names a setting as the form does, and shows all else as it is."""

from __future__ import annotations

import re

import pytest

from app.shared.text import MOST_OF_A_NAME, box_labels, escape, with_labels
from deepvelo.config import sections


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Setting `graph.n_neighbors` should be.", "**Graph neighbours** (`graph.n_neighbors`) should be."),
        ("Lower `training.batch_cells`.", "Lower **Batch size** (`training.batch_cells`)."),
        ("Setting `seed` is empty.", "**Seed** is empty."),
        ("There is no setting `graph.neighbours`.", r"There is no setting \`graph.neighbours\`."),
        ("`total` became nan.", r"\`total\` became nan."),
        ("`preset` must be one of them.", r"\`preset\` must be one of them."),
        ("There is no gene '`seed`' for `seed`.", r"There is no gene '\`seed\`' for **Seed**."),
        (
            "Cells' groups \"it's `seed`\" and '`seed`'.",
            "Cells' groups \"it's \\`seed\\`\" and '\\`seed\\`'.",
        ),
    ],
)
def test_labels_stand_before_the_names_of_settings_alone(message, shown):
    assert with_labels(message) == shown


def test_no_two_settings_share_a_label():
    titles = [field.title for group in sections().values() for field in group.__pydantic_fields__.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "name", ["Tmsb10", "CD4+ T", "HLA-DRB1 01", "n_cells", "a.b", "3.5 (x), 'y'!", "x - y", "12:30"]
)
def test_usual_names_are_left_as_they_are(name):
    assert escape(name) == name


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("my_*best*_run", r"my\_\*best\*\_run"),
        ("HLA-DRB1*01", r"HLA-DRB1\*01"),
        ("<CD3>", r"\<CD3>"),
        ("$x$", r"\$x\$"),
        ("a:b", r"a\:b"),
        ("[t](u) ![i](u)", r"\[t\](u) !\[i\](u)"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("12. a", r"12\. a"),
        ("&lt; & b", r"\&lt; & b"),
        ("a|b", r"a\|b"),
        # what Streamlit makes of text even after a backslash: a sign of it stands in an element of its own
        ("http://a.b", r"http:color[\:]//a.b"),
        ("WWW.a.b", r"WWW:color[\.]a.b"),
        ("me@a.b", r"me:color[\@]a.b"),
        (":smile:", r":color[\:]smile:"),
        (":material/home:", r":color[\:]material/home:"),
        (":red[x]", r"\:red\[x\]"),
        ("a -> b", r"a :color[\-]> b"),
        ("::->{x=1}", r"\:\::color[\-]>\{x=1}"),
    ],
)
def test_names_become_no_markup(name, escaped):
    assert escape(name) == escaped


def test_text_that_cannot_be_shown_is_replaced_and_kept_in_one_line():
    assert escape("a\u202eb\x00c\ud800d\u200be") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert escape(" a\n\n\tb\u2028c ") == "a   b c"
    assert escape("\U0001f469\u200d\U0001f52c") == "\U0001f469\u200d\U0001f52c"  # one picture of two


def test_long_names_keep_their_beginning_and_their_end():
    for shown in (escape(f"A{'x' * 100_000}Z"), box_labels([f"A{'x' * 100_000}Z"]).popitem()[1]):
        assert len(shown) == MOST_OF_A_NAME
        assert re.fullmatch("Ax+…x+Z", shown)


def test_a_message_shortens_what_it_quotes_and_keeps_what_to_do():
    message = with_labels(f"There is no gene {'x' * 100_000!r} here. Choose one of the list.")
    assert len(message) < 250
    assert message.startswith("There is no gene 'xxx")
    assert message.endswith("' here. Choose one of the list.")


def test_two_values_of_a_box_never_look_alike():
    labels = box_labels(["A\u200b", "A\ufeff", "A", "B"])
    assert list(labels.values()) == ["A\ufffd", "A\ufffd (2)", "A", "B"]
    assert box_labels({1: "run", 2: "run"}, {1: "run", 2: "run"}.__getitem__) == {1: "run", 2: "run (2)"}
