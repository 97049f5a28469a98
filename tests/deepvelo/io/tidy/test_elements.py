from __future__ import annotations

import collections
import datetime
import enum
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from deepvelo import keys
from deepvelo.contents.notes import stored_notes
from deepvelo.io.dry_write import leave_out_unwritable
from deepvelo.io.tidy import tidied
from deepvelo.io.tidy.elements import tidy_elements


def cells(n: int = 3) -> ad.AnnData:
    return ad.AnnData(np.ones((n, 2), dtype="f4"), obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]))


def in_uns(value):
    adata = cells()
    adata.uns["x"] = value
    notes = tidy_elements(adata)
    assert leave_out_unwritable(adata) == []
    return adata.uns.get("x", "left out"), notes


def test_what_files_can_hold_stays_the_very_same():
    adata = cells()
    adata.uns = {
        "clusters_colors": ["#ffffff", "#000000"], "neighbors": {"params": {"n_neighbors": 3, "metric_kwds": {}}},
        "log1p": {"base": None}, "image": np.zeros((2, 2, 3)), "graph": sparse.csr_matrix(np.eye(3)),
        "table": pd.DataFrame({"a": [1]}, index=[5]), "records": np.rec.fromarrays([["a"], [1.0]], names="gene,score"),
    }  # fmt: skip
    adata.obsm["X_umap"] = np.ones((3, 2))
    before, uns, matrix = adata.uns, dict(adata.uns), adata.obsm["X_umap"]
    assert tidy_elements(adata) == []
    assert adata.uns is before
    assert all(adata.uns[key] is value for key, value in uns.items())
    assert adata.obsm["X_umap"] is matrix


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]), ({"b", "a"}, ["a", "b"]), (range(2), [0, 1]), (collections.deque([1]), [1]),
        ({"k": 1}.keys(), ["k"]), (datetime.date(2024, 2, 29), "2024-02-29"), (Path("/a"), "/a"), (b"a", "a"),
        (Color.RED, 1), (2**70, str(2**70)), (np.longdouble(2), 2.0), (pd.NaT, None), (pd.Timestamp("2024"), "2024-01-01T00:00:00"),
        ("a\0", "a"), (collections.OrderedDict(a=(1,)), {"a": [1]}), ({1: 2, "1": 3}, {"1": 2, "1_": 3}),
        ([[1], [1, 2]], {"0": [1], "1": [1, 2]}), ([{"a": 1}], {"0": {"a": 1}}), (np.array({"a": 1}), {"a": 1}),
    ],
)  # fmt: skip
def test_values_of_uns_become_what_files_can_hold(value, expected):
    found, notes = in_uns(value)
    assert found == expected
    assert not notes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, "a", None], ["1", "a", "nan"]), ([1.5, None], [1.5, np.nan]), (torch.ones(2), [1.0, 1.0]),
        (pd.Index(["a"]), ["a"]), (np.array([b"a"]), ["a"]), (np.array(["2024"], dtype="M8[Y]"), ["2024-01-01"]),
        (np.ma.masked_equal([1, 2], 1), [np.nan, 2.0]), (np.array([1, 2], dtype=object), [1, 2]),
        (np.array(["a"], dtype=np.dtypes.StringDType()), ["a"]), (pd.array([1.5, None], dtype="Float64"), [1.5, np.nan]),
        ([np.ones(2), np.ones(2)], [[1, 1], [1, 1]]),
    ],
)  # fmt: skip
def test_arrays_of_uns_become_numbers_or_text(value, expected):
    found, notes = in_uns(value)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    assert not notes


@pytest.mark.parametrize("value", [print, object(), (i for i in range(2)), lambda: 0, [object()] * 200])
def test_what_files_cannot_hold_is_left_out_by_name(value):
    found, notes = in_uns(value)
    assert found == "left out"
    assert "uns['x']" in notes[0]


def test_only_the_part_that_files_cannot_hold_is_left_out():
    found, notes = in_uns({"params": {"n_neighbors": 3, "metric": len}})
    assert found == {"params": {"n_neighbors": 3}}
    assert len(notes) == 1
    assert "uns['x']['params']['metric']" in notes[0]


def test_a_dictionary_that_holds_itself_ends():
    value: dict[str, object] = {"a": 1}
    value["me"] = value
    found, notes = in_uns(value)
    assert found == {"a": 1}
    assert "['me']" in notes[0]


def test_tables_and_series_of_uns_are_tidied():
    found, notes = in_uns(pd.DataFrame({"a": [[1], [2]], "b/c": pd.array(["x", None], dtype="string")}))
    assert list(found.columns) == ["b/c"]
    assert "'a'" in notes[0]
    series, _ = in_uns(pd.Series([1, 2], name="n"))
    assert series["n"].tolist() == [1, 2]


def test_tables_of_coordinates_become_arrays_and_other_tables_stay():
    adata = cells()
    adata.obsm["X_umap"] = pd.DataFrame({"UMAP_1": [1.0, 2, 3], "UMAP_2": [4, 5, 6]}, index=adata.obs_names)
    adata.obsm["X_tsne"] = pd.DataFrame(
        {0: pd.array([1.0, None, 3], dtype="Float64"), 1: [1, 2, 3]}, index=adata.obs_names
    )
    adata.obsm["protein"] = pd.DataFrame(np.ones((3, 5)), columns=list("abcde"), index=adata.obs_names)
    adata.obsm["calls"] = pd.DataFrame(
        {"clone": pd.array(["x", None, "y"], dtype="string")}, index=adata.obs_names
    )
    assert tidy_elements(adata) == []
    np.testing.assert_array_equal(adata.obsm["X_umap"], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(adata.obsm["X_tsne"], [[1, 1], [np.nan, 2], [3, 3]])
    assert list(adata.obsm["protein"].columns) == list("abcde")
    assert adata.obsm["calls"]["clone"].isna().tolist() == [False, True, False]
    assert leave_out_unwritable(adata) == []


def test_matrices_stay_sparse_and_objects_become_numbers():
    adata = cells()
    adata.obsm["bins"] = sparse.csr_matrix(np.eye(3))
    adata.obsm["objects"] = np.array([[1, 2.5]] * 3, dtype=object)
    adata.obsm["masked"] = np.ma.masked_array(np.ones((3, 2)), mask=[[True, False]] * 3)
    adata.obsm["odd"] = np.array([[print]] * 3, dtype=object)
    adata.varm["wide"] = np.ones((2, 2), dtype=np.longdouble)
    adata.obsp["pairs"] = np.ones((3, 3), dtype=">f4")
    notes = tidy_elements(adata)
    assert sparse.issparse(adata.obsm["bins"])
    np.testing.assert_array_equal(adata.obsm["objects"], [[1, 2.5]] * 3)
    np.testing.assert_array_equal(adata.obsm["masked"], [[np.nan, 1]] * 3)
    assert adata.varm["wide"].dtype == np.float64
    assert adata.obsp["pairs"].dtype.isnative
    assert "odd" not in adata.obsm
    assert len(notes) == 1
    assert "obsm['odd']" in notes[0]
    assert leave_out_unwritable(adata) == []


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, []), ("one", ["one"]), (np.array(["a", "b"]), ["a", "b"]), (["a", 3, None], ["a"]), ({"a": 1}, []),
        (pd.DataFrame({"a": [1]}), []), (7, []), ([["a"], ["b", "c"]], []),
    ],
)  # fmt: skip
def test_notes_of_any_kind_are_read(stored, expected):
    adata = cells()
    adata.layers["spliced"] = adata.layers["unspliced"] = sparse.csr_matrix(np.ones((3, 2), dtype="f4"))
    adata.uns[keys.NOTES] = stored
    assert stored_notes(adata) == expected
    assert set(expected) <= set(tidied(adata).uns[keys.NOTES])
