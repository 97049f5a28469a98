"""A message names a setting as the form does."""

from __future__ import annotations

import pytest

from app.widgets.text import with_labels, without_markup
from deepvelo.config import sections


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Setting `graph.n_neighbors` should be.", "**Graph neighbours** (`graph.n_neighbors`) should be."),
        ("Lower `training.batch_cells`.", "Lower **Cells a step** (`training.batch_cells`)."),
        ("Setting `seed` is empty.", "**Seed** is empty."),
        ("There is no setting `graph.neighbours`.", "There is no setting `graph.neighbours`."),
        ("`total` became nan.", "`total` became nan."),
        ("`preset` must be one of them.", "`preset` must be one of them."),
    ],
)
def test_labels_stand_before_the_names_of_settings_alone(message, shown):
    assert with_labels(message) == shown


def test_no_two_settings_share_a_label():
    titles = [field.title for group in sections().values() for field in group.__pydantic_fields__.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_names_in_a_sentence_become_no_markup():
    said = without_markup("Group '![x](http://a.b)' of `graph.n_neighbors`, 'a_b*c*' and '<b>'")
    assert said == r"Group '!\[x\](http://a.b)' of `graph.n_neighbors`, 'a_b\*c\*' and '\<b\>'"
