"""No text of a file is computed by a spreadsheet, and numbers stay numbers."""

import io

import numpy as np
import pandas as pd
import pytest

from deepvelo.io.spreadsheet import as_cell, in_cells, to_csv

LINK = '=HYPERLINK("http://evil.test","x")'


@pytest.mark.parametrize(
    "text",
    [
        LINK, "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\rx", "\n=1", " =1", '"=1', "'=1", "＝1+1", "＋1+1",
        "－2+3", "＠SUM(1)", "\u200b=1", "\ufeff=1", "-1e5+cmd()", "\x00=1",
    ],
)  # fmt: skip
def test_what_begins_a_formula_gets_an_apostrophe(text):
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tmsb10",
        "CD4+ T",
        "a=b",
        "-1",
        "+0.5",
        "-1.5e-16",
        "−0.25",
        "-",
        "+/+",
        "– 3",
        "(-1)",
        "me@x.org",
        "5'-UTR",
    ],
)
def test_all_else_is_left_as_it_is(text):
    assert as_cell(text) == text


def test_a_table_is_written_without_formulas_and_reads_back():
    table = pd.DataFrame(
        {"gene": ["=1+1", "A", "-1"], "group": pd.Categorical(["@x", "b", "b"]), "q": [-0.5, np.nan, 1e-20], "n": [1, -2, 3]},
        index=pd.Index(["+a()", "b;=1+1", 'c";=1'], name="-cell()"),
    ).rename(columns={"n": "=n()"})  # fmt: skip
    before = table.copy()
    text = to_csv(table, index=True)
    pd.testing.assert_frame_equal(table, before)
    read = pd.read_csv(io.StringIO(text), index_col=0, dtype={"gene": str})
    assert list(read.index) == ["'+a()", "b;=1+1", 'c";=1']
    assert (read.index.name, list(read)) == ("'-cell()", ["gene", "group", "q", "'=n()"])
    assert list(read["gene"]) == ["'=1+1", "A", "-1"]
    assert list(read["group"]) == ["'@x", "b", "b"]
    np.testing.assert_array_equal(read["q"], table["q"])
    assert list(read["'=n()"]) == [1, -2, 3]
    assert '"b;=1+1"' in text  # in quotes: a program that parts text at semicolons finds no formula either


def test_a_plain_table_stays_what_it_is():
    table = pd.DataFrame({"gene": ["A", np.nan], "x": [1.5, np.nan], "yes": [True, False]}, index=[3, 4])
    pd.testing.assert_frame_equal(in_cells(table), table)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(to_csv(table))), table.reset_index(drop=True))
    assert in_cells(pd.DataFrame()).empty
