"""Gene lists kept in a folder."""

from __future__ import annotations

import os

import pytest

from deepvelo.errors import InputError
from deepvelo.selections import gene_lists as saved

GENES = ["Gfap", "Aqp4", "Gfap", "GRCh38_ACTB"]


def test_a_list_is_read_as_it_was_saved(tmp_path):
    made = saved.save(tmp_path / "new", " Glia, <b>bold</b> ", GENES)
    assert (made.name, made.genes) == ("Glia, <b>bold</b>", ("Gfap", "Aqp4", "GRCh38_ACTB"))
    assert saved.load(tmp_path / "new", made.list_id) == made
    assert saved.stored(tmp_path / "new") == {made.list_id: "Glia, <b>bold</b> · 3 genes"}


def test_the_same_list_has_the_same_id_and_another_another(tmp_path):
    ids = [
        saved.save(tmp_path, name, genes).list_id
        for name, genes in (("a", GENES), ("a", GENES), ("b", GENES), ("a", GENES[:2]))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert len(saved.stored(tmp_path)) == 3


def test_a_list_that_is_not_offered_is_found_by_its_id(tmp_path):
    made = saved.save(tmp_path, "a", GENES, offer=False)
    assert saved.stored(tmp_path) == {}
    assert saved.load(tmp_path, made.list_id) == made


@pytest.mark.parametrize(
    ("name", "genes", "said"),
    [
        ("", ["A"], "no name"), ("x" * 201, ["A"], "201 characters"), ("a", [], "is empty"),
        ("a", map(str, range(10_001)), "10,001 genes"), ("a", ["x" * 400_000], "400 kB"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_said(tmp_path, name, genes, said):
    with pytest.raises(InputError, match=said):
        saved.save(tmp_path, name, genes)


@pytest.mark.parametrize("list_id", ["", "0123456789abcdef", "../../etc/passwd", "x" * 10_000, "a\0b"])
def test_a_list_that_is_not_there_is_said(tmp_path, list_id):
    with pytest.raises(InputError, match="not on this server"):
        saved.load(tmp_path, list_id)


def test_a_damaged_list_is_said_and_not_offered(tmp_path):
    made = saved.save(tmp_path, "a", GENES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-2] + b"!!")
    with pytest.raises(InputError, match="damaged"):
        saved.load(tmp_path, made.list_id)
    file.write_bytes(b"!")
    assert saved.stored(tmp_path) == {}


def test_the_oldest_lists_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "MOST_LISTS", 2)
    for age, name in enumerate("abc"):
        made = saved.save(tmp_path, name, GENES)
        os.utime(tmp_path / f"{made.list_id}.genes", (age, age))
    saved.save(tmp_path, "d", GENES)
    assert [label[0] for label in saved.stored(tmp_path).values()] == ["d", "c"]
