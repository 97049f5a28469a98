"""Text files that visitors upload."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.shared.text_uploads import read_text
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.sets import read_gmt


def upload(content: bytes) -> SimpleNamespace:
    return SimpleNamespace(name="sets.gmt", size=len(content), getvalue=lambda: content)


def test_an_upload_is_read_under_its_own_name():
    assert read_text(upload(b"A\t\tCpe\n"), read_gmt) == {"A": ("Cpe",)}
    with pytest.raises(
        InputError, match=r"^sets\.gmt, line 1 is not a gene set: '1+…1+' has 20,000 characters"
    ):
        read_text(upload(b"A\t\t" + b"1" * 20_000), read_gmt)


def test_an_upload_that_would_keep_the_page_busy_is_refused():
    large = SimpleNamespace(name="sets.gmt", size=30_000_001)
    with pytest.raises(InputError, match=r"sets\.gmt is larger than 30 MB.*`deepvelo lineages`"):
        read_text(large, read_gmt)
