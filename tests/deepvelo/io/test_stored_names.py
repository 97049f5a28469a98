from __future__ import annotations

import pandas as pd
import pytest

from deepvelo.io.stored_names import restored, restored_names, stored_names

HARD = [
    "",
    ".",
    "..",
    "a/b",
    "/",
    "a/",
    "\0",
    "a\nb",
    "a\\b",
    "blank ",
    "dot.",
    ".zattrs",
    "zarr.json",
    "Clusters",
    "clusters",
]


@pytest.mark.parametrize("in_folders", [True, False])
def test_any_name_is_stored_and_comes_back(in_folders):
    stored = stored_names(HARD, in_folders=in_folders)
    back = {name: restored_names(stored.values())[stored[name]] for name in HARD}
    assert back == {name: name for name in HARD} | {"\0": "\N{SYMBOL FOR NULL}"}
    assert not any(set("/\0") & set(name) or name in ("", ".", "..") for name in stored.values())


def test_folders_have_names_that_any_disk_and_zarr_can_hold():
    stored = stored_names(
        [*HARD, "CLUSTERS", "a\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER A WITH ACUTE}"],
        in_folders=True,
    )
    assert len({name.casefold() for name in stored.values()}) == len(stored)
    for name in stored.values():
        assert name[0] != "."
        assert name[-1] not in " ."
        assert "\\" not in name
        assert name.isprintable()


def test_the_name_in_lower_case_is_kept_whatever_stands_first():
    stored = stored_names(["X_UMAP", "x_umap"], in_folders=True)
    assert stored["x_umap"] == "x_umap"
    assert stored["X_UMAP"] != "X_UMAP"
    assert stored_names(["X_UMAP", "x_umap"], in_folders=False) == {"X_UMAP": "X_UMAP", "x_umap": "x_umap"}


def test_slashes_stay_in_columns_of_h5ad_unless_another_column_lies_above_them():
    names = ["CD4/CD8", "a/b", "a", "/lead", "c//d", "e/./f"]
    stored = stored_names(names, in_folders=False, paths=True)
    assert stored["CD4/CD8"] == "CD4/CD8"
    assert not any("/" in stored[name] for name in names[1:])


def test_ordinary_names_are_kept_in_either_store():
    names = ["clusters", "X_umap", "n counts", "β", "10x", "a.b", "__x"]
    for in_folders in (True, False):
        assert stored_names(names, in_folders=in_folders) == {name: name for name in names}


def test_names_come_back_in_dictionaries_and_tables():
    slash = stored_names(["a/b"], in_folders=True)["a/b"]
    table = pd.DataFrame({slash: [1]}, index=pd.Index(["x"], name=slash))
    found = restored({slash: {slash: table}})["a/b"]["a/b"]
    assert list(found.columns) == ["a/b"]
    assert found.index.name == "a/b"


def test_two_names_that_would_become_one_are_left_apart():
    assert restored_names(["a\N{DIVISION SLASH}b", "a/b"]) == {
        "a\N{DIVISION SLASH}b": "a\N{DIVISION SLASH}b",
        "a/b": "a/b",
    }
