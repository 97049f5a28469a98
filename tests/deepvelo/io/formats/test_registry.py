from __future__ import annotations

from deepvelo.io.formats import FORMATS, LABELS, REFUSED


def test_every_format_that_is_read_is_listed_for_users():
    assert sorted(LABELS) == sorted(format.LABEL for format in FORMATS if format not in REFUSED)
