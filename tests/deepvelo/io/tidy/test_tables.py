from __future__ import annotations

import datetime
from decimal import Decimal

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from deepvelo.io.tidy.tables import as_name, tidy_column, tidy_table, tidy_tables


def tidy(values, **kwargs):
    return tidy_column(pd.Series(values, **kwargs)).values


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2]), pd.Series([1.5, np.nan]), pd.Series([True, False]), pd.Series(["a", "b"]),
        pd.Series(["a", None], dtype="category"), pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"), pd.Series([1, 2], dtype="category"), pd.Series([1.0], dtype="f2"),
    ],
)  # fmt: skip
def test_what_files_can_hold_is_left_alone(values):
    assert tidy_column(values).values is values


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", object])
def test_text_stays_text_and_missing_text_stays_missing(dtype):
    whole = tidy(["b", "a"], dtype=dtype)
    assert list(whole) == ["b", "a"]
    assert whole.dtype == object
    some = tidy(["b", None, "a"], dtype=dtype)
    assert isinstance(some, pd.Categorical)
    assert list(some.astype(object)) == ["b", np.nan, "a"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.array([1.5, None], dtype="Float64"), [1.5, np.nan]),
        (pd.array([1.5, None], dtype="Float32"), [1.5, np.nan]),
        (pd.arrays.SparseArray([0.0, 2.0]), [0.0, 2.0]),
        (np.array([1.5, None], dtype=object), [1.5, np.nan]),
        (np.array([Decimal("0.5"), 2], dtype=object), [0.5, 2.0]),
        (np.array([1, 2], dtype=np.longdouble), [1.0, 2.0]),
        (np.array([1, 2], dtype=">f4"), [1.0, 2.0]),
        (np.array([None, np.nan, pd.NA], dtype=object), [np.nan] * 3),
        (pd.array([None, None], dtype="string"), [np.nan] * 2),
    ],
)
def test_numbers_become_floats_with_nan(values, expected):
    found = tidy(values)
    assert isinstance(found, np.ndarray)
    assert found.dtype.kind == "f"
    assert found.dtype.itemsize <= 8
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_booleans_and_whole_numbers_with_missing_ones_are_nullable(missing):
    assert tidy([True, missing], dtype=object).dtype == "boolean"
    assert tidy([1, missing], dtype=object).dtype == "Int64"
    assert tidy([True, False], dtype=object).dtype == bool
    assert tidy([1, 2], dtype=object).dtype == np.int64
    assert tidy(pd.array([1, None], dtype="int64[pyarrow]")).dtype == "Int64"


def test_bytes_become_text():
    assert list(tidy([b"p1", "ä".encode()])) == ["p1", "ä"]
    assert list(tidy(pd.Series([b"x", None], dtype="category").cat.rename_categories([b"x"]))) == [
        "x",
        np.nan,
    ]


@pytest.mark.parametrize(
    ("values", "word", "text"),
    [
        (pd.to_datetime(["2024-02-29", None]), "dates", "2024-02-29T00:00:00"),
        (pd.Series([datetime.date(2024, 2, 29), None]), "dates", "2024-02-29"),
        (pd.to_timedelta([90, None], unit="m"), "durations", "P0DT1H30M0S"),
        (pd.PeriodIndex(["2024-02", None], freq="M"), "periods", "2024-02"),
        (pd.IntervalIndex.from_tuples([(0, 1), np.nan]), "intervals", "(0.0, 1.0]"),
        (pd.cut([0.5, np.nan], [0, 1]), "intervals", "(0, 1]"),
        (pd.Series([2**70, None]), "very large numbers", str(2**70)),
        (pd.Series([10**400, None], dtype=object), "very large numbers", str(10**400)),
    ],
)
def test_dates_and_intervals_become_text_and_are_told(values, word, text):
    found, was = tidy_column(pd.Series(values))
    assert was == word
    assert list(pd.Series(found).astype(object)) == [text, np.nan]


def test_numbers_beyond_floats_become_text_beside_fractions():
    assert list(tidy([10**400, 0.5], dtype=object)) == [str(10**400), "0.5"]


def test_values_of_several_kinds_become_text():
    found, was = tidy_column(pd.Series([1, "a", None, b"b", True]))
    assert "several kinds" in was
    assert list(pd.Series(found).astype(object)) == ["1", "a", np.nan, "b", "True"]


def test_categories_that_become_the_same_text_become_one():
    found = tidy(pd.Categorical([1, "1", "2", None], categories=["2", 1, "1"], ordered=True))
    assert list(found.astype(object)) == ["1", "1", "2", np.nan]
    assert list(found.categories) == ["2", "1"]
    assert found.ordered


@pytest.mark.parametrize("dtype", ["string", "Int64", "boolean", "datetime64[ns]"])
def test_categories_of_any_type_keep_their_order(dtype):
    values = {
        "string": ["b", "a"],
        "Int64": [2, 1],
        "boolean": [True, False],
        "datetime64[ns]": ["2024", "2023"],
    }[dtype]
    given = pd.Categorical(pd.array(values, dtype=dtype), categories=pd.array(values, dtype=dtype))
    found = tidy(given)
    assert list(found.codes) == [0, 1]
    assert found.categories.dtype.kind in "Oib"


def test_a_column_without_rows_and_one_without_categories_are_left_alone():
    for empty in (pd.Series([], dtype=object), pd.Series(pd.Categorical([None, None]))):
        assert tidy_column(empty).values is empty


def test_what_files_cannot_hold_is_left_out_by_name():
    table = pd.DataFrame(
        {"good": [1, 2], "lists": [[1], [2]], "complex": [1j, 2j], "things": [object(), None]}
    )
    found, notes = tidy_table(table.set_axis(["x", "y"]), "obs")
    assert list(found.columns) == ["good"]
    assert all(f"'{name}'" in notes[0] for name in ("lists", "complex", "things"))


def test_nul_and_broken_characters_are_replaced_and_told():
    found, was = tidy_column(pd.Series(["a\0\0", "b\0c", "d\udcff", "e"]))
    assert list(found) == ["a", "b\N{SYMBOL FOR NULL}c", "d?", "e"]
    assert was


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.Index(["a", "b"], dtype="string[pyarrow]"), ["a", "b"]),
        (pd.CategoricalIndex(["a", "b"]), ["a", "b"]),
        (pd.Index([0, 1]), ["0", "1"]),
        (pd.Index([b"a", b"b"]), ["a", "b"]),
        (pd.Index(["a", np.nan]), ["a", "nan"]),
        (pd.MultiIndex.from_tuples([("s1", "a"), ("s2", "a")], names=["sample", "cell"]), ["s1_a", "s2_a"]),
    ],
)
def test_names_of_rows_become_text(index, expected):
    found, notes = tidy_table(pd.DataFrame({"x": [1, 2]}, index=index), "obs")
    assert list(found.index) == expected
    assert found.index.dtype == object
    assert list(found["x"]) == [1, 2]
    assert not notes


def test_columns_get_unique_names_of_text():
    table = pd.DataFrame([[0, 1, 2, 3, 4, 5]], columns=["_index", "index", 7, "twice", "twice", ("a", "b")])
    found, notes = tidy_table(table, "var")
    assert list(found.columns) == ["index_", "index", "7", "twice", "twice-1", "a_b"]
    assert found.iloc[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert "'_index' to 'index_'" in notes[0]
    assert "'twice' to 'twice-1'" in notes[0]
    again, none = tidy_table(found, "var")
    assert again is found
    assert none == []


def test_a_very_long_name_is_shortened_and_told():
    found, notes = tidy_table(pd.DataFrame({"é" * 300: [1]}, index=["x"]), "obs")
    assert len(found.columns[0].encode()) <= 255
    assert "renamed" in notes[0]


def test_an_index_named_like_a_column_loses_its_name_and_the_column_its_values_not():
    adata = ad.AnnData(obs=pd.DataFrame({"barcode": ["x", "y"]}, index=pd.Index(["a", "b"], name="barcode")))
    assert tidy_tables(adata) == []
    assert adata.obs.index.name is None
    assert list(adata.obs["barcode"]) == ["x", "y"]


def test_tidy_tables_change_nothing_the_second_time():
    adata = ad.AnnData(
        np.ones((2, 1)), obs=pd.DataFrame({"day": pd.to_datetime(["2024", "2025"])}, index=["a", "b"])
    )
    assert len(tidy_tables(adata)) == 1
    before = adata.obs
    assert tidy_tables(adata) == []
    assert adata.obs is before


def test_any_name_becomes_text():
    assert [as_name(x) for x in (1.0, None, b"a", ("a", 1), "x\0")] == ["1.0", "nan", "a", "a_1", "x"]
